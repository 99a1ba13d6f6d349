//! Parses the overrides, which operators set as annotations of the object.

use std::{collections::BTreeMap, time::SystemTime};

use contract::Cluster;
use humantime::parse_rfc3339;
use policy::Overrides;

/// `"true"`: the watcher writes nothing.
const PAUSE: &str = "istiowatcher/pause";

/// A time, such as `2026-11-29T18:00:00Z`: the watcher writes nothing before it.
const PAUSE_UNTIL: &str = "istiowatcher/pause-until";

/// `primary` or `burst`: all traffic goes to this cluster.
const FORCE: &str = "istiowatcher/force";

/// What pauses the watcher if the value of [`FORCE`] is not accepted.
const INVALID_FORCE: &str = "istiowatcher/force, whose value is not accepted,";

/// `"true"`: traffic does not come home.
const HOLD_HOME: &str = "istiowatcher/hold-home";

/// Not an override: what outlives a watcher.
pub(super) const EJECTED: &str = "istiowatcher/ejected";

/// Not an override either: which watcher decides.
pub(super) const LEADER: &str = "istiowatcher/leader";

/// The longest part of an invalid value that a message repeats, in characters.
const MAX_VALUE: usize = 40;

/// The prefix of all our annotations.
const PREFIX: &str = "istiowatcher/";

/// Returns the overrides at a time, and what is wrong with them. An invalid override holds what it concerns,
/// because an operator meant something by it.
pub(super) fn parse(
    annotations: Option<&BTreeMap<String, String>>,
    now: SystemTime,
) -> (Overrides, Option<String>) {
    let mut invalid = None;
    let value = |name: &str| annotations?.get(name).map(String::as_str);
    let mut refuse = |name: &str, value: &str, accepted: &str| {
        let value: String = value.chars().take(MAX_VALUE).collect();
        invalid.get_or_insert_with(|| {
            format!("annotation {name}: {value:?} is not accepted; accepted: {accepted}")
        });
    };
    let mut flag = |name: &str| match value(name) {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            refuse(name, other, "true, or false");
            true
        }
    };
    let (mut pause, hold_home) = (flag(PAUSE).then_some(PAUSE), flag(HOLD_HOME));
    if let Some(until) = value(PAUSE_UNTIL) {
        let is_paused = parse_rfc3339(until).map_or_else(
            |_| {
                refuse(PAUSE_UNTIL, until, "a time in UTC, such as 2026-11-29T18:00:00Z");
                true
            },
            |until| now < until,
        );
        pause = pause.or(is_paused.then_some(PAUSE_UNTIL));
    }
    let force = value(FORCE).and_then(|value| {
        let cluster = Cluster::ALL.into_iter().find(|cluster| cluster.name() == value);
        if cluster.is_none() {
            refuse(FORCE, value, "primary, or burst");
            pause = pause.or(Some(INVALID_FORCE));
        }
        cluster
    });
    let names = annotations.into_iter().flat_map(|all| all.keys());
    let is_unknown = |name: &&String| {
        name.starts_with(PREFIX)
            && ![PAUSE, PAUSE_UNTIL, FORCE, HOLD_HOME, EJECTED, LEADER].contains(&name.as_str())
    };
    if let Some(name) = names.into_iter().find(is_unknown) {
        let name: String = name.chars().take(MAX_VALUE).collect();
        invalid.get_or_insert_with(|| {
            format!("annotation {name} is not known; accepted: {PAUSE}, {PAUSE_UNTIL}, {FORCE}, {HOLD_HOME}")
        });
    }
    (Overrides { pause, force, hold_home }, invalid)
}

/// The overrides of a `BurstPolicy` and those of its route. If both force a cluster, the policy's counts.
pub(super) fn merge(
    (of_policy, invalid_at_policy): (Overrides, Option<String>),
    (of_route, invalid_at_route): (Overrides, Option<String>),
) -> (Overrides, Option<String>) {
    let overrides = Overrides {
        pause: of_policy.pause.or(of_route.pause),
        force: of_policy.force.or(of_route.force),
        hold_home: of_policy.hold_home || of_route.hold_home,
    };
    (overrides, invalid_at_policy.or(invalid_at_route))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        parse_rfc3339("2026-11-29T12:00:00Z").unwrap()
    }

    #[track_caller]
    fn check(annotations: &[(&str, &str)], expected: Overrides, expected_invalid: Option<&str>) {
        let pairs = annotations.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let (overrides, invalid) = parse(Some(&pairs.collect()), now());
        assert_eq!(overrides, expected);
        match (invalid, expected_invalid) {
            (None, None) => {}
            (Some(invalid), Some(part)) => assert!(invalid.contains(part), "{invalid}"),
            (invalid, expected) => panic!("{invalid:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn annotations_are_overrides() {
        let none = Overrides::default();
        check(&[], none, None);
        check(&[("other/pause", "true")], none, None);
        check(&[("istiowatcher/pause", "true")], Overrides { pause: Some(PAUSE), ..none }, None);
        check(&[("istiowatcher/pause", "false")], none, None);
        check(&[("istiowatcher/hold-home", "true")], Overrides { hold_home: true, ..none }, None);
        let until = |time| [("istiowatcher/pause-until", time)];
        check(&until("2026-11-29T12:00:01Z"), Overrides { pause: Some(PAUSE_UNTIL), ..none }, None);
        check(&until("2026-11-29T12:00:00Z"), none, None);
        let force = Some(Cluster::Burst);
        check(&[("istiowatcher/force", "burst")], Overrides { force, ..none }, None);
    }

    #[test]
    fn overrides_of_a_policy_and_of_its_route_are_one() {
        let none = Overrides::default();
        let pause = Overrides { pause: Some(PAUSE), ..none };
        let to = |cluster| Overrides { force: Some(cluster), ..none };
        assert_eq!(merge((pause, None), (none, None)).0, pause);
        assert_eq!(merge((none, None), (pause, None)).0, pause);
        let forced = merge((to(Cluster::Burst), None), (to(Cluster::Primary), None));
        assert_eq!(forced.0, to(Cluster::Burst));
        assert_eq!(merge((none, None), (none, Some("bad".into()))).1.as_deref(), Some("bad"));
    }

    #[test]
    fn an_invalid_override_is_named_and_holds_what_it_concerns() {
        let paused_by = |by| Overrides { pause: Some(by), ..Overrides::default() };
        let pause = paused_by(PAUSE);
        let invalid = [("istiowatcher/pause", "true"), ("istiowatcher/force", "both")];
        check(&invalid, pause, Some("istiowatcher/force: \"both\" is not accepted"));
        let invalid = [("istiowatcher/pause", "yes")];
        check(&invalid, pause, Some("accepted: true, or false"));
        for time in ["18:00", "2026-11-29T18:00:00+01:00", "tomorrow"] {
            let invalid = [("istiowatcher/pause-until", time)];
            check(&invalid, paused_by(PAUSE_UNTIL), Some("accepted: a time in UTC, such as 2026-"));
        }
        let invalid = [("istiowatcher/force", "home")];
        check(&invalid, paused_by(INVALID_FORCE), Some("accepted: primary, or burst"));
        let invalid = [("istiowatcher/hold-home", "1")];
        let hold_home = Overrides { hold_home: true, ..Overrides::default() };
        check(&invalid, hold_home, Some("accepted: true, or false"));
        let invalid = [("istiowatcher/puase", "true")];
        check(&invalid, Overrides::default(), Some("annotation istiowatcher/puase is not known"));
    }
}
