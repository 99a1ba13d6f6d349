//! What always holds, by random histories.

use proptest::prelude::*;

use super::*;

fn any_rate() -> impl Strategy<Value = Result<f64, &'static str>> {
    prop_oneof![
        8 => (0.0..60.0).prop_map(Ok),
        1 => Just(Ok(0.0)),
        1 => Just(Ok(f64::MAX)),
        1 => Just(Ok(f64::MIN_POSITIVE)),
        2 => Just(Err("timeout")),
    ]
}

fn any_clusters() -> impl Strategy<Value = Option<Clusters>> {
    let flow =
        || (0.0..30.0, 0.0..=1.0).prop_map(|(rate, part)| Flow { rate, failing: rate * part });
    let all = (flow(), flow(), flow());
    proptest::option::weighted(
        0.3,
        all.prop_map(|(primary, burst, elsewhere)| Clusters { primary, burst, elsewhere }),
    )
}

fn any_arguments() -> impl Strategy<Value = Vec<&'static str>> {
    let policy = prop_oneof![Just("--policy=threshold"), Just("--policy=spill")];
    let writes = prop_oneof![Just("--writes-per-minute=20"), Just("--writes-per-minute=2")];
    let failover = prop_oneof![Just("--failover=true"), Just("--failover=false")];
    (policy, writes, failover)
        .prop_map(|(policy, writes, failover)| vec![policy, writes, failover, "--spill-window=5s"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn weights_add_up_writes_are_limited_and_the_unknown_holds(
        arguments in any_arguments(),
        seconds in prop::collection::vec((any_rate(), any_clusters(), 0..=100_u32, 0..20_u8), 1..200),
    ) {
        let mut played = Played::new(&arguments, HOME);
        let limit = if arguments[1].ends_with("20") { 20 } else { 2 };
        let mut writes = Vec::new();
        for (rate, clusters, foreign, chance) in seconds {
            if chance == 0 {
                played.in_force = spilt(foreign);
                played.changed_by = Some("somebody".to_owned());
            }
            played.clusters = clusters;
            let before = played.in_force;
            let decision = played.second(rate);
            let Weights { primary, burst } = decision.weights;
            prop_assert_eq!(primary + burst, 100);
            if decision.is_write {
                prop_assert!(!decision.weights.divide_like(before));
                writes.push(played.now);
                let of_minute = writes.iter().filter(|at| played.now < **at + 60).count();
                prop_assert!(of_minute <= limit, "{} writes in a minute", of_minute);
            }
            if rate.is_err() && decision.is_write {
                // From a primary that fails: to burst, or to what it is tried with.
                let name = decision.reason.name();
                let is_failover = name.starts_with("Primary") || name == "BurstTried";
                prop_assert!(
                    burst <= before.burst || is_failover && arguments[2].ends_with("true"),
                    "the unknown may only go home, but from a primary that fails: {}",
                    decision.reason
                );
            }
        }
    }

    #[test]
    fn more_load_never_sends_less_to_burst(
        arguments in any_arguments(),
        history in prop::collection::vec(0.0..60.0_f64, 0..120),
        rates in (0.0..60.0_f64, 0.0..60.0_f64),
        in_force in 0..=100_u32,
    ) {
        let decide = |rate: f64| {
            let mut played = Played::new(&arguments, spilt(in_force));
            for rate in &history {
                played.second(Ok(*rate));
            }
            played.second(Ok(rate)).weights.burst
        };
        let (low, high) = (rates.0.min(rates.1), rates.0.max(rates.1));
        prop_assert!(decide(low) <= decide(high));
    }
}
