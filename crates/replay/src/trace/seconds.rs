//! Divides parts of any length into seconds.

use std::collections::VecDeque;

/// The requests of a second; `None` if nobody knows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second(pub(super) Option<f64>);

/// A part of the trace with one rate; `None` if it is unknown.
#[derive(Clone, Copy, Debug)]
struct Part {
    seconds: f64,
    rate: Option<f64>,
}

/// The parts that are not yet divided.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    parts: VecDeque<Part>,
    /// How much of the next second is filled, with how many requests, and whether any of it is unknown.
    filled: f64,
    requests: f64,
    is_unknown: bool,
}

impl Seconds {
    /// Adds a part of so many seconds with this rate.
    pub(super) fn push(&mut self, seconds: f64, rate: Option<f64>) {
        self.parts.push_back(Part { seconds, rate });
    }

    /// Takes the next complete second; `None` if there is none yet.
    pub(super) fn next(&mut self) -> Option<Second> {
        while let Some(part) = self.parts.front_mut() {
            let taken = part.seconds.min(1.0 - self.filled);
            part.seconds -= taken;
            self.filled += taken;
            match part.rate {
                Some(rate) => self.requests += rate * taken,
                None => self.is_unknown = true,
            }
            if part.seconds <= 1e-9 {
                self.parts.pop_front();
            }
            if 1.0 - 1e-9 <= self.filled {
                let requests = std::mem::take(&mut self.requests);
                self.filled = 0.0;
                let is_unknown = std::mem::take(&mut self.is_unknown);
                return Some(Second((!is_unknown).then_some(requests)));
            }
        }
        None
    }
}
