//! What a watcher does with the Lease that it has read. It does no IO.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};
use tokio::time::Instant;

/// The longest duration of a Lease that is believed, in seconds.
const MAX_DURATION: i32 = 60;

/// A candidate.
pub(super) struct Election {
    identity: Arc<str>,
    /// The last change of the Lease, and when this watcher saw it.
    seen: Option<(Change, Instant)>,
}

/// What changes with each renewal.
#[derive(Clone, PartialEq)]
struct Change {
    holder: String,
    renewed: Option<MicroTime>,
    transitions: i32,
}

/// What to do with the Lease.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Nobody holds it, or nobody has renewed it for its duration.
    Take,
    /// It is this watcher's own.
    Renew,
    /// Another watcher holds it.
    Wait {
        /// The identity of the other one.
        holder: String,
    },
}

impl Election {
    pub(super) const fn new(identity: Arc<str>) -> Self {
        Self { identity, seen: None }
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether this watcher holds the Lease.
    pub(super) fn is_own(&self, spec: &LeaseSpec) -> bool {
        spec.holder_identity.as_deref() == Some(&*self.identity)
    }

    /// Judges the Lease as it is at `now`.
    pub(super) fn judge(&mut self, now: Instant, spec: &LeaseSpec) -> Step {
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if self.is_own(spec) {
            return Step::Renew;
        }
        if holder.is_empty() {
            return Step::Take;
        }
        let change = Change {
            holder: holder.clone(),
            renewed: spec.renew_time.clone(),
            transitions: spec.lease_transitions.unwrap_or(0),
        };
        let seconds = spec.lease_duration_seconds.unwrap_or(MAX_DURATION).clamp(1, MAX_DURATION);
        let duration = Duration::from_secs(seconds.unsigned_abs().into());
        match &self.seen {
            Some((seen, since)) if *seen == change => {
                if *since + duration <= now {
                    Step::Take
                } else {
                    Step::Wait { holder }
                }
            }
            _ => {
                self.seen = Some((change, now));
                Step::Wait { holder }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn lease(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(7),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_taken_when_nobody_has_renewed_it_for_its_duration() {
        let start = Instant::now();
        let mut election = Election::new("a".into());
        let wait = Step::Wait { holder: "b".to_owned() };
        // The time in the Lease is the other clock's, which may be wrong by years.
        let mut judge = |second: u64, renewed: i64| {
            election.judge(start + Duration::from_secs(second), &lease("b", renewed))
        };
        assert_eq!(judge(0, 0), wait);
        assert_eq!(judge(6, 0), wait);
        assert_eq!(judge(7, 9), wait, "it was renewed");
        assert_eq!(judge(13, 9), wait);
        assert_eq!(judge(14, 9), Step::Take);
    }

    #[test]
    fn an_own_lease_is_renewed_and_one_of_nobody_taken() {
        let mut election = Election::new("a".into());
        let now = Instant::now();
        assert_eq!(election.judge(now, &lease("a", 0)), Step::Renew);
        assert_eq!(election.judge(now, &lease("", 0)), Step::Take);
        assert_eq!(election.judge(now, &LeaseSpec::default()), Step::Take);
    }

    #[test]
    fn a_new_holder_begins_a_new_duration() {
        let start = Instant::now();
        let mut election = Election::new("a".into());
        let at = |second| start + Duration::from_secs(second);
        election.judge(at(0), &lease("b", 0));
        let wait = Step::Wait { holder: "c".to_owned() };
        assert_eq!(election.judge(at(10), &lease("c", 0)), wait);
        assert_eq!(election.judge(at(16), &lease("c", 0)), wait);
        assert_eq!(election.judge(at(17), &lease("c", 0)), Step::Take);
    }
}
