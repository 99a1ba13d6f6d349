//! The increase of one counter, which may begin again at zero.

use std::time::Duration;

use crate::RequestClass;

/// One counter.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) class: RequestClass,
    count: f64,
    /// The time of its last sample.
    pub(super) scraped: Duration,
    /// The count before the counter fell, if it fell at the last scrape.
    before_fall: Option<f64>,
}

impl Series {
    /// Starts with the first count that is known.
    pub(super) const fn new(class: RequestClass, scraped: Duration, count: f64) -> Self {
        Self { class, count, scraped, before_fall: None }
    }

    /// Takes the next count; returns the increase, and whether that is all of it.
    pub(super) fn increase(&mut self, at: Duration, count: f64) -> (f64, bool) {
        self.scraped = at;
        let before_fall = self.before_fall.take();
        if let Some(before) = before_fall.filter(|before| *before <= count) {
            // It did not begin again: one sample was wrong.
            self.count = count;
            return (count - before, true);
        }
        if count < self.count {
            if self.count / 2.0 < count {
                // A counter that begins again is near zero. This sample is out of order.
                return (0.0, true);
            }
            self.before_fall = Some(self.count);
            self.count = count;
            return (count, false);
        }
        let increase = count - self.count;
        self.count = count;
        (increase, true)
    }
}
