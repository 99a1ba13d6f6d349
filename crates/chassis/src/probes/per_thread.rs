//! A number that many threads change for each request.

use std::{
    array,
    sync::atomic::{AtomicI64, AtomicUsize, Ordering},
};

use prometheus_client::metrics::{counter, gauge};

/// How many parts a number has. Threads beyond that share parts.
const PARTS: usize = 16;

/// The storage of a counter or a gauge that many threads change for each request. Each thread has a part of its
/// own in a cache line of its own, because a line that two processors write costs each of them about 0.1 µs.
#[derive(Debug)]
pub struct PerThread([Part; PARTS]);

/// Two lines of 64 bytes, because processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(AtomicI64);

/// A counter in parts.
pub type Counter = counter::Counter<u64, PerThread>;

/// A gauge in parts.
pub type Gauge = gauge::Gauge<i64, PerThread>;

impl Default for PerThread {
    fn default() -> Self {
        Self(array::from_fn(|_| Part::default()))
    }
}

impl PerThread {
    /// Adds to the part of this thread, and returns what the part was.
    fn add(&self, change: i64) -> i64 {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static PART: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS;
        }
        self.0[PART.with(|part| *part)].0.fetch_add(change, Ordering::Relaxed)
    }

    fn sum(&self) -> i64 {
        self.0.iter().map(|part| part.0.load(Ordering::Relaxed)).sum()
    }
}

impl counter::Atomic<u64> for PerThread {
    fn inc(&self) -> u64 {
        counter::Atomic::inc_by(self, 1)
    }

    fn inc_by(&self, change: u64) -> u64 {
        self.add(change.cast_signed()).cast_unsigned()
    }

    fn get(&self) -> u64 {
        self.sum().cast_unsigned()
    }
}

impl gauge::Atomic<i64> for PerThread {
    fn inc(&self) -> i64 {
        self.add(1)
    }

    fn inc_by(&self, change: i64) -> i64 {
        self.add(change)
    }

    fn dec(&self) -> i64 {
        self.add(-1)
    }

    fn dec_by(&self, change: i64) -> i64 {
        self.add(-change)
    }

    fn set(&self, value: i64) -> i64 {
        self.add(value - self.sum())
    }

    fn get(&self) -> i64 {
        self.sum()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_threads_together_count_every_change() {
        let (counter, gauge) = (Counter::default(), Gauge::default());
        thread::scope(|scope| {
            for _ in 0..2 * PARTS {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counter.inc();
                        gauge.inc();
                    }
                    gauge.dec_by(900);
                });
            }
        });
        assert_eq!((counter.get(), gauge.get()), (2000 * PARTS as u64, 200 * PARTS as i64));
        gauge.set(-7);
        assert_eq!(gauge.get(), -7);
    }
}
