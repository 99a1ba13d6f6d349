//! Whether burst may receive more traffic, when the settings ask for a proof that it is ready.

use std::time::Duration;

/// The last answer is believed for this time.
const KNOWN_FOR: Duration = Duration::from_secs(15);

/// What is known of burst's readiness.
#[derive(Debug)]
pub(crate) struct BurstReadiness {
    is_asked_for: bool,
    /// The last answer, and when it came.
    last: Option<(Duration, bool)>,
}

impl BurstReadiness {
    pub(crate) const fn new(is_asked_for: bool) -> Self {
        Self { is_asked_for, last: None }
    }

    /// Takes an answer; `None` if there is none.
    pub(crate) fn observe(&mut self, now: Duration, is_ready: Option<bool>) {
        if let Some(is_ready) = is_ready {
            self.last = Some((now, is_ready));
        }
    }

    /// Why burst may not receive more; `None` if it may.
    pub(crate) fn problem(&self, now: Duration) -> Option<&'static str> {
        match self.last {
            _ if !self.is_asked_for => None,
            Some((at, _)) if at + KNOWN_FOR < now => Some("unknown"),
            None => Some("unknown"),
            Some((_, true)) => None,
            Some((_, false)) => Some("not_ready"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_is_ready_by_a_young_answer_only() {
        let second = Duration::from_secs;
        assert_eq!(BurstReadiness::new(false).problem(second(0)), None);
        let mut readiness = BurstReadiness::new(true);
        assert_eq!(readiness.problem(second(0)), Some("unknown"));
        readiness.observe(second(0), Some(false));
        assert_eq!(readiness.problem(second(1)), Some("not_ready"));
        readiness.observe(second(2), Some(true));
        readiness.observe(second(3), None);
        assert_eq!(readiness.problem(second(17)), None);
        assert_eq!(readiness.problem(second(18)), Some("unknown"));
    }
}
