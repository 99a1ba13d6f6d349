//! Detects changes of the weights by other writers.

use policy::Weights;

/// Compares each observation of the weights with what the watcher expects.
#[derive(Debug, Default)]
pub(crate) struct ChangeDetector {
    /// The weights that the next observation shows if nobody else changes them; `None` at first.
    expected: Option<Weights>,
    /// The weights of an attempt to write whose result is unknown.
    attempted: Option<Weights>,
}

/// How the observed weights came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nobody changed them.
    None,
    /// The attempt succeeded, whatever its result seemed to be.
    OwnWrite,
    /// Another writer changed them from these weights.
    Foreign {
        /// The weights before.
        before: Weights,
    },
}

impl ChangeDetector {
    /// Observes the weights in force.
    pub(crate) fn observe(&mut self, weights: Weights) -> Change {
        match self.expected.replace(weights) {
            None => Change::None,
            Some(expected) if expected == weights => Change::None,
            Some(_) if self.attempted == Some(weights) => {
                self.attempted = None;
                Change::OwnWrite
            }
            Some(before) => Change::Foreign { before },
        }
    }

    /// Records an attempt to write.
    pub(crate) fn record_attempt(&mut self, weights: Weights) {
        self.attempted = Some(weights);
    }

    /// Records that the API server refused the attempt.
    pub(crate) fn forget_attempt(&mut self) {
        self.attempted = None;
    }

    /// Records that the API server confirmed the attempt.
    pub(crate) fn record_write(&mut self, weights: Weights) {
        self.attempted = None;
        self.expected = Some(weights);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Weights = Weights { primary: 100, burst: 0 };
    const BURST: Weights = Weights { primary: 0, burst: 100 };

    #[test]
    fn only_what_the_watcher_did_not_write_is_foreign() {
        let mut detector = ChangeDetector::default();
        assert_eq!(detector.observe(HOME), Change::None, "nothing was expected at first");
        detector.record_attempt(BURST);
        detector.record_write(BURST);
        assert_eq!(detector.observe(BURST), Change::None);
        assert_eq!(detector.observe(HOME), Change::Foreign { before: BURST });
        assert_eq!(detector.observe(HOME), Change::None, "a change is reported once");
    }

    #[test]
    fn an_attempt_without_a_result_is_recognized_however_late() {
        let mut detector = ChangeDetector::default();
        detector.observe(HOME);
        detector.record_attempt(BURST);
        assert_eq!(detector.observe(HOME), Change::None);
        assert_eq!(detector.observe(BURST), Change::OwnWrite);
        assert_eq!(detector.observe(HOME), Change::Foreign { before: BURST });
        detector.record_attempt(BURST);
        detector.forget_attempt();
        assert_eq!(detector.observe(BURST), Change::Foreign { before: HOME });
    }
}
