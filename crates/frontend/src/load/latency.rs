//! Distributions of times, over the last ten seconds and since the start, in a fixed amount of
//! memory.
//!
//! HDR histograms hold the times with three exact digits, from a microsecond to a minute; a longer
//! time counts as a minute. Prometheus receives a few [`Buckets`] instead. Nothing here knows a
//! clock: time is an argument.

use std::time::Duration;

use contract::Percentiles;
use hdrhistogram::Histogram;

/// The longest time, in microseconds.
const MAX_US: u64 = 60_000_000;

/// The number of exact digits.
const DIGITS: u8 = 3;

/// The length of the window, in seconds.
const WINDOW: usize = 10;

/// The bounds of the buckets, in seconds: the usual ones of Prometheus, and finer ones for
/// lateness.
const BOUNDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// The distribution of one kind of time. It has twelve histograms of 70 KB each.
#[derive(Debug)]
pub(crate) struct Latency {
    /// The last seconds, each at its number modulo the window.
    seconds: Vec<Histogram<u32>>,
    /// The sum of the last seconds.
    window: Histogram<u32>,
    /// The sum since the start.
    total: Histogram<u64>,
    buckets: Buckets,
    /// The number of the current second.
    current: u64,
}

impl Latency {
    pub(crate) fn new() -> Self {
        Self {
            seconds: vec![histogram(); WINDOW],
            window: histogram(),
            total: histogram(),
            buckets: Buckets::default(),
            current: 0,
        }
    }

    /// Records a time.
    pub(crate) fn record(&mut self, now: Duration, took: Duration) {
        self.advance(now);
        let us = u64::try_from(took.as_micros()).unwrap_or(MAX_US);
        self.seconds[index(self.current)].saturating_record(us);
        self.window.saturating_record(us);
        self.total.saturating_record(us);
        self.buckets.record(took);
    }

    /// The percentiles of the last ten seconds.
    pub(crate) fn window(&mut self, now: Duration) -> Percentiles {
        self.advance(now);
        percentiles(&self.window)
    }

    /// The percentiles since the start.
    pub(crate) fn total(&self) -> Percentiles {
        percentiles(&self.total)
    }

    /// The buckets since the start, for Prometheus.
    pub(crate) fn buckets(&self) -> Buckets {
        self.buckets
    }

    fn advance(&mut self, now: Duration) {
        let now = now.as_secs();
        if now <= self.current {
            return;
        }
        if WINDOW as u64 <= now - self.current {
            self.seconds.iter_mut().for_each(Histogram::reset);
            self.window.reset();
        } else {
            for second in self.current + 1..=now {
                let gone = &mut self.seconds[index(second)];
                // Saves work while the frontend is idle.
                if gone.is_empty() {
                    continue;
                }
                // Never fails: the window contains what is subtracted.
                let _ = self.window.subtract(&*gone);
                gone.reset();
            }
        }
        self.current = now;
    }
}

/// The histogram that Prometheus receives, since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buckets {
    /// The number of times in each bucket: at most its bound, and more than the bound before. The
    /// last bucket has no bound.
    counts: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Buckets {
    fn record(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.counts[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += took;
    }

    /// The sum of all times, in seconds.
    pub(crate) fn sum(&self) -> f64 {
        self.sum.as_secs_f64()
    }

    /// The number of times.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The upper bound of each bucket, in seconds, and the number of times in it.
    pub(crate) fn counts(&self) -> Vec<(f64, u64)> {
        BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.counts).collect()
    }
}

fn index(second: u64) -> usize {
    (second % WINDOW as u64) as usize
}

fn histogram<T: hdrhistogram::Counter>() -> Histogram<T> {
    Histogram::new_with_bounds(1, MAX_US, DIGITS).expect("the bounds are in range")
}

fn percentiles<T: hdrhistogram::Counter>(histogram: &Histogram<T>) -> Percentiles {
    let ms = |us: u64| us as f64 / 1000.0;
    let quantile = |quantile| {
        if histogram.is_empty() { 0.0 } else { ms(histogram.value_at_quantile(quantile)) }
    };
    Percentiles {
        count: histogram.len(),
        p50: quantile(0.5),
        p90: quantile(0.9),
        p99: quantile(0.99),
        max: if histogram.is_empty() { 0.0 } else { ms(histogram.max()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn percentiles_are_exact_to_three_digits() {
        let mut latency = Latency::new();
        for took in 1..=1000 {
            latency.record(ms(took), ms(took));
        }
        let window = latency.window(ms(1000));
        assert_eq!(window.count, 1000);
        let Percentiles { p50, p90, p99, max, .. } = window;
        for (actual, exact) in [(p50, 500.0), (p90, 900.0), (p99, 990.0), (max, 1000.0)] {
            assert!((actual / exact - 1.0).abs() <= 0.001, "{actual} instead of {exact}");
        }
    }

    #[test]
    fn the_window_forgets_after_ten_seconds_and_the_total_does_not() {
        let mut latency = Latency::new();
        for second in 0..20 {
            latency.record(Duration::from_secs(second), ms(second));
        }
        assert_eq!(latency.window(Duration::from_secs(19)).count, 10);
        assert!((latency.window(Duration::from_secs(19)).p50 - 14.0).abs() < 0.1);
        assert_eq!(latency.window(Duration::from_secs(25)).count, 4);
        assert_eq!(latency.window(Duration::from_secs(1000)), Percentiles::default());
        assert_eq!(latency.total().count, 20);
    }

    #[test]
    fn prometheus_receives_buckets() {
        let mut latency = Latency::new();
        for took in [ms(1), ms(1), ms(2), Duration::from_secs(20)] {
            latency.record(ms(0), took);
        }
        let buckets = latency.buckets();
        assert_eq!(buckets.count(), 4);
        assert!((buckets.sum() - 20.004).abs() < 1e-9);
        let counts = buckets.counts();
        assert_eq!(counts[3..5], [(0.001, 2), (0.0025, 1)], "a bound is part of its bucket");
        assert_eq!(counts.last(), Some(&(f64::INFINITY, 1)));
    }

    #[test]
    fn a_time_beyond_the_longest_is_counted() {
        let mut latency = Latency::new();
        latency.record(ms(1), Duration::from_secs(3600));
        latency.record(ms(1), Duration::ZERO);
        let window = latency.window(ms(1));
        assert_eq!(window.count, 2);
        assert!((59_000.0..61_000.0).contains(&window.max), "{}", window.max);
    }
}
