//! What holds through every history.

use proptest::prelude::*;

use super::*;

fn any_answers() -> impl Strategy<Value = Answers> {
    prop_oneof![
        4 => Just(Answers::Well),
        1 => Just(Answers::HasNoPods),
        1 => (0.0..=1.0).prop_map(Answers::Fails),
    ]
}

fn any_gap() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![5 => Just(None), 1 => Just(Some("timeout")), 1 => Just(Some("empty"))]
}

/// A few seconds of a history.
#[derive(Clone, Debug)]
struct Part {
    seconds: u64,
    rate: f64,
    answers: [Answers; 2],
    gap: Option<&'static str>,
    foreign: Option<u32>,
    wrong_count: Option<f64>,
}

fn any_part() -> impl Strategy<Value = Part> {
    let rate = prop_oneof![8 => 0.0..60.0_f64, 1 => Just(0.0), 1 => Just(1e6)];
    let answers = (any_answers(), any_answers());
    let foreign = proptest::option::weighted(0.1, 0..=100_u32);
    let wrong_count = proptest::option::weighted(0.1, prop_oneof![Just(0.0), 0.0..1e9]);
    (1..40_u64, rate, answers, any_gap(), foreign, wrong_count).prop_map(
        |(seconds, rate, (primary, burst), gap, foreign, wrong_count)| Part {
            seconds,
            rate,
            answers: [primary, burst],
            gap,
            foreign,
            wrong_count,
        },
    )
}

/// The cluster that a circuit breaker keeps traffic from.
fn failing_cluster(reason: &Reason) -> Option<Cluster> {
    match reason {
        Reason::ClusterUnhealthy { cluster, .. }
        | Reason::ClusterEjected { cluster, .. }
        | Reason::ClusterOnTrial { cluster, .. } => Some(*cluster),
        _ => None,
    }
}

fn any_arguments() -> impl Strategy<Value = Vec<&'static str>> {
    let policy = prop_oneof![Just("--policy=threshold"), Just("--policy=spill")];
    let writes = prop_oneof![Just("--writes-per-minute=20"), Just("--writes-per-minute=2")];
    let failover = prop_oneof![Just("--failover=true"), Just("--failover=false")];
    (policy, writes, failover).prop_map(|(policy, writes, failover)| {
        let step = "--burst-step=40";
        vec![policy, writes, failover, "--spill-stabilization-window=5s", step]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn weights_are_whole_writes_are_limited_and_the_unknown_holds(
        arguments in any_arguments(),
        parts in prop::collection::vec(any_part(), 1..12),
    ) {
        let mut played = Played::new(&arguments, HOME);
        let limit = if arguments[1].ends_with("20") { 20 } else { 2 };
        let mut writes = Vec::new();
        for part in parts {
            played.answers = part.answers;
            played.gap = part.gap;
            if let Some(percent) = part.foreign {
                played.in_force = spilt(percent);
                played.changed_by = Some("somebody".to_owned());
            }
            if let (Some(count), Some(first)) = (part.wrong_count, played.counts.first_mut()) {
                first.1 = count;
            }
            for _ in 0..part.seconds {
                let before = played.in_force;
                let decision = played.second(part.rate);
                let Weights { primary, burst } = decision.weights;
                prop_assert_eq!(primary + burst, 100);
                prop_assert!(!decision.reason.to_string().contains("NaN"), "{}", decision.reason);
                if decision.is_write {
                    prop_assert!(!decision.weights.has_same_split(before));
                    if !decision.reason.is_urgent() {
                        writes.push(played.now);
                    }
                    let of_minute = writes.iter().filter(|at| played.now < **at + 60).count();
                    prop_assert!(of_minute <= limit, "{} writes in a minute", of_minute);
                }
                let is_unknown = played.decider.requests().estimate(played.now()).is_err();
                if is_unknown && decision.is_write {
                    let failing = failing_cluster(&decision.reason);
                    let gets_less = failing.is_some_and(|cluster| {
                        decision.weights.share_of(cluster) < before.share_of(cluster)
                    });
                    prop_assert!(gets_less, "an unknown rate moves nothing: {}", decision.reason);
                }
            }
        }
    }

    #[test]
    fn a_cluster_that_fails_loses_its_traffic_while_the_other_is_well(
        parts in prop::collection::vec((20..60_u64, 5.0..40.0_f64), 1..6),
        policy in prop_oneof![Just("--policy=threshold"), Just("--policy=spill")],
    ) {
        let mut played = Played::new(&[policy], HOME);
        for (seconds, rate) in parts {
            played.seconds(seconds, rate);
        }
        played.answers[1] = Answers::Fails(1.0);
        let mut failing = 0;
        for _ in 0..120 {
            played.second(30.0);
            let gets_much = 0.1 < played.in_force.burst_share();
            failing = if gets_much { failing + 1 } else { 0 };
            prop_assert!(failing <= 15, "{} seconds with {}", failing, played.in_force);
        }
    }
}
