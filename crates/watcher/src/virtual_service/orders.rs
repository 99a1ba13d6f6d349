//! What somebody has ordered by annotations of the object.

use contract::Cluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::decide::Orders;

/// `"true"`: nothing is written.
const PAUSE: &str = "istiowatcher/pause";

/// `primary` or `burst`: all traffic goes there.
const FORCE: &str = "istiowatcher/force";

/// `"true"`: traffic does not come home.
const HOLD_HOME: &str = "istiowatcher/hold-home";

/// How much of a value that is not accepted is repeated.
const MAX_VALUE: usize = 40;

/// How all of them begin.
const PREFIX: &str = "istiowatcher/";

/// The orders, and what is wrong with them. One that is wrong holds what it is about: somebody has meant something.
pub(super) fn of(metadata: &ObjectMeta) -> (Orders, Option<String>) {
    let mut wrong = None;
    let value = |name: &str| {
        let all = metadata.annotations.as_ref()?;
        all.get(name).map(String::as_str)
    };
    let mut refuse = |name: &str, value: &str, accepted: &str| {
        let value: String = value.chars().take(MAX_VALUE).collect();
        wrong.get_or_insert_with(|| {
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
    let (mut pause, hold_home) = (flag(PAUSE), flag(HOLD_HOME));
    let force = value(FORCE).and_then(|value| {
        let cluster = Cluster::ALL.into_iter().find(|it| it.name() == value);
        if cluster.is_none() {
            refuse(FORCE, value, "primary, or burst");
            pause = true;
        }
        cluster
    });
    let names = metadata.annotations.iter().flat_map(|all| all.keys());
    let is_unknown = |name: &&String| {
        name.starts_with(PREFIX) && ![PAUSE, FORCE, HOLD_HOME].contains(&name.as_str())
    };
    if let Some(name) = names.into_iter().find(is_unknown) {
        let name: String = name.chars().take(MAX_VALUE).collect();
        wrong.get_or_insert_with(|| {
            format!("annotation {name} is not known; accepted: {PAUSE}, {FORCE}, {HOLD_HOME}")
        });
    }
    (Orders { pause, force, hold_home }, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(annotations: &[(&str, &str)], expected: Orders, expected_wrong: Option<&str>) {
        let pairs = annotations.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let annotations = Some(pairs.collect());
        let (orders, wrong) = of(&ObjectMeta { annotations, ..ObjectMeta::default() });
        assert_eq!(orders, expected);
        match (wrong, expected_wrong) {
            (None, None) => {}
            (Some(wrong), Some(part)) => assert!(wrong.contains(part), "{wrong}"),
            (wrong, expected) => panic!("{wrong:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn annotations_are_orders() {
        let none = Orders::default();
        check(&[], none, None);
        check(&[("other/pause", "true")], none, None);
        check(&[("istiowatcher/pause", "true")], Orders { pause: true, ..none }, None);
        check(&[("istiowatcher/pause", "false")], none, None);
        check(&[("istiowatcher/hold-home", "true")], Orders { hold_home: true, ..none }, None);
        let force = Some(Cluster::Burst);
        check(&[("istiowatcher/force", "burst")], Orders { force, ..none }, None);
    }

    #[test]
    fn what_is_no_order_is_said_and_holds_what_it_is_about() {
        let pause = Orders { pause: true, ..Orders::default() };
        let wrong = [("istiowatcher/pause", "true"), ("istiowatcher/force", "both")];
        check(&wrong, pause, Some("istiowatcher/force: \"both\" is not accepted"));
        let wrong = [("istiowatcher/pause", "yes")];
        check(&wrong, pause, Some("accepted: true, or false"));
        let wrong = [("istiowatcher/force", "home")];
        check(&wrong, pause, Some("accepted: primary, or burst"));
        let wrong = [("istiowatcher/hold-home", "1")];
        let hold_home = Orders { hold_home: true, ..Orders::default() };
        check(&wrong, hold_home, Some("accepted: true, or false"));
        let wrong = [("istiowatcher/puase", "true")];
        check(&wrong, Orders::default(), Some("annotation istiowatcher/puase is not known"));
    }
}
