//! A time of any length in a limited number of bins.

/// What a bin holds.
pub trait Merge {
    /// Adds what came later.
    fn merge(&mut self, later: &Self);
}

/// Bins of equal length. Once they are too many, each two become one.
#[derive(Clone, Debug)]
pub struct Bins<T> {
    limit: usize,
    step: u64,
    bins: Vec<T>,
    /// The seconds in the last bin.
    filled: u64,
}

impl<T: Merge> Bins<T> {
    /// Starts without a second. There will be `pairs` to twice as many bins, once there are so many seconds.
    #[must_use]
    pub fn new(pairs: usize) -> Self {
        Self { limit: pairs.max(1) * 2, step: 1, bins: Vec::new(), filled: 0 }
    }

    /// Adds a second.
    pub fn push(&mut self, second: T) {
        if self.filled < self.step
            && let Some(last) = self.bins.last_mut()
        {
            last.merge(&second);
            self.filled += 1;
            return;
        }
        if self.bins.len() == self.limit {
            self.join_pairs();
        }
        self.bins.push(second);
        self.filled = 1;
    }

    fn join_pairs(&mut self) {
        let mut joined = Vec::with_capacity(self.limit);
        let mut bins = self.bins.drain(..);
        while let Some(mut first) = bins.next() {
            if let Some(second) = bins.next() {
                first.merge(&second);
            }
            joined.push(first);
        }
        drop(bins);
        self.bins = joined;
        self.step *= 2;
    }

    /// The length of a bin, in seconds. The last bin may be shorter.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The bins, from the first to the last.
    #[must_use]
    pub fn bins(&self) -> &[T] {
        &self.bins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sum(u64);

    impl Merge for Sum {
        fn merge(&mut self, later: &Self) {
            self.0 += later.0;
        }
    }

    #[test]
    fn the_number_of_bins_has_a_limit() {
        for seconds in [1, 4, 5, 8, 9, 1000, 1001] {
            let mut bins = Bins::new(2);
            (0..seconds).for_each(|_| bins.push(Sum(1)));
            let sums: Vec<_> = bins.bins().iter().map(|Sum(sum)| *sum).collect();
            assert_eq!(sums.iter().sum::<u64>(), seconds);
            assert!(sums.len() <= 4 && (seconds < 5 || 2 < sums.len()), "{sums:?}");
            let (last, full) = sums.split_last().unwrap();
            assert!(full.iter().all(|sum| *sum == bins.step()) && *last <= bins.step(), "{sums:?}");
        }
    }
}
