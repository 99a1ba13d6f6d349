//! Whose name the route has: the watcher's that decides. A write against an older version then fails.

use std::time::Duration;

/// A watcher of another Lease that names itself, too, has the route for this time.
const RIVAL_HAS_IT_FOR: Duration = Duration::from_secs(60);

/// What this watcher knows of its name on the route.
#[derive(Debug, Default)]
pub(crate) struct Claim {
    /// When this watcher named itself, since it leads.
    named_at: Option<Duration>,
}

impl Claim {
    /// Records that the route has this watcher's name since `now`.
    pub(crate) fn record(&mut self, now: Duration) {
        self.named_at = Some(now);
    }

    /// Why another name on the route stays; `None` if this watcher may replace it.
    ///
    /// One Lease has one leader. If a leader's name is replaced all the same, another Lease has a leader for this
    /// route, too. They would replace each other's name at each tick, and neither would ever decide.
    pub(crate) fn rival(&self, now: Duration, name: Option<&str>) -> Option<String> {
        let (named_at, name) = (self.named_at?, name?);
        (now < named_at + RIVAL_HAS_IT_FOR).then(|| {
            format!(
                "another watcher, {name}, decides for this route by another Lease; give both the same LEASE, or end one"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_replaces_the_name_of_the_one_before_and_leaves_a_rival_its_name_for_a_minute() {
        let second = Duration::from_secs;
        let mut claim = Claim::default();
        assert_eq!(claim.rival(second(0), Some("before")), None);
        claim.record(second(0));
        assert!(claim.rival(second(1), Some("rival")).unwrap().contains("rival"));
        assert_eq!(claim.rival(second(1), None), None, "somebody has removed the name");
        assert_eq!(claim.rival(second(60), Some("rival")), None);
    }
}
