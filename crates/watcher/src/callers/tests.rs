//! Callers that a test scripts, read over real connections at a virtual time.

mod played;
mod scripted_caller;

use contract::Cluster;
use futures_util::future::join_all;
use policy::Weights;

use super::*;
use crate::prometheus::Finding;
use played::Played;
use scripted_caller::{Answer, ScriptedCaller, text};

const HOME: Weights = Weights::all_to(Cluster::Primary);
const BURST: Weights = Weights::all_to(Cluster::Burst);

#[tokio::test]
async fn a_rise_is_seen_within_four_seconds_and_a_fall_after_the_hold() {
    let mut played = Played::with_callers(3, HOME).await;
    played.seconds(20, 5.0).await;
    assert!((4.5..5.5).contains(&played.rate()), "{}", played.rate());
    assert_eq!(played.observed.finding(), Finding::FineCallers);
    let rise = played.until(BURST, 20.0).await;
    assert!(rise <= 4, "{rise} s");
    played.seconds(20, 20.0).await;
    let fall = played.until(HOME, 5.0).await;
    assert!((9..=14).contains(&fall), "{fall} s");
}

#[tokio::test]
async fn idle_callers_are_a_rate_of_zero_if_the_selector_has_matched_before() {
    let mut played = Played::with_callers(2, BURST).await;
    played.seconds(20, 0.0).await;
    assert_eq!(played.decider.requests().estimate(played.now), Err("empty"));
    assert_eq!(played.observed.finding(), Finding::NothingCounted);
    assert_eq!(played.in_force, BURST, "the selector may be wrong");
    played.seconds(3, 20.0).await;
    played.until(HOME, 0.0).await;
    let rise = played.until(BURST, 40.0).await;
    assert!(rise <= 4, "{rise} s");
}

#[tokio::test]
async fn a_caller_that_another_replaces_without_load_is_a_rate_of_zero() {
    let mut played = Played::with_callers(1, BURST).await;
    played.seconds(10, 20.0).await;
    played.start_caller().await;
    played.living.remove(0);
    played.list_living();
    let fall = played.until(HOME, 0.0).await;
    assert!((10..=16).contains(&fall), "{fall} s");
}

#[tokio::test]
async fn a_caller_whose_series_vanish_is_missing() {
    let mut played = Played::with_callers(2, BURST).await;
    played.seconds(5, 20.0).await;
    for (caller, _) in &played.living {
        caller.break_with(Answer::Text("# TYPE istio_requests_total counter\n".to_owned()));
    }
    played.seconds(20, 20.0).await;
    assert_eq!((played.silent_kinds(), played.in_force), (vec!["no_series"; 2], BURST));
}

#[tokio::test]
async fn a_caller_that_cannot_be_read_is_missing_and_never_zero() {
    let not_metrics = || Answer::Text("<html>\n".to_owned());
    let half = || Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nistio".to_vec());
    let cut = || Answer::Raw(b"HTTP/1.1 200 OK\r\n\r\n# TYPE a".to_vec());
    let million = || Answer::Text("istio_requests_total{a=\"b\"} 1\n".repeat(1_000_000));
    let many = || {
        Answer::Text(
            (0..2_000)
                .map(|n| text([f64::from(n); 2]).replace("\"200\"", &format!("\"{n}\"")))
                .collect(),
        )
    };
    let failing = || Answer::Raw(b"HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n".to_vec());
    let faults: [(&str, &dyn Fn() -> Answer); 7] = [
        ("malformed", &not_metrics),
        ("unreachable", &half),
        ("malformed", &cut),
        ("too_large", &million),
        ("malformed", &many),
        ("http", &failing),
        ("timeout", &|| Answer::Hang),
    ];
    // One that hangs takes its whole time, so all of them are played at once.
    join_all(faults.map(async |(kind, answer)| {
        let mut played = Played::with_settings(2, BURST, &["--home-hold=4s"]).await;
        played.seconds(5, 20.0).await;
        played.living[0].0.break_with(answer());
        // The other caller alone is below HOME_BELOW.
        played.seconds(10, 18.0).await;
        assert_eq!(played.silent_kinds(), [kind]);
        assert_eq!(played.in_force, BURST, "{kind}");
        let finding = played.observed.finding();
        assert!(matches!(finding, Finding::CallersNotRead { .. }), "{finding}");
        played.living[0].0.mend();
        played.seconds(3, 18.0).await;
        assert_eq!(played.in_force, BURST, "{kind}, after it");
        played.until(HOME, 5.0).await;
    }))
    .await;
}

#[tokio::test]
async fn a_caller_that_does_not_answer_is_missing_whoever_else_begins() {
    let mut played = Played::with_callers(1, BURST).await;
    let hung = ScriptedCaller::start().await;
    hung.break_with(Answer::Raw(Vec::new()));
    played.list(Ok(vec![played.living[0].0.address, hung.address]));
    played.seconds(30, 5.0).await;
    assert_eq!(played.in_force, BURST, "one that has never answered");
    assert!(!played.observed.is_complete());

    let mut played = Played::with_callers(1, BURST).await;
    played.seconds(5, 20.0).await;
    let (broken, _) = played.living.remove(0);
    broken.break_with(Answer::Raw(Vec::new()));
    played.seconds(10, 0.0).await;
    played.start_caller().await;
    played.list(Ok(vec![broken.address, played.living[0].0.address]));
    played.seconds(30, 5.0).await;
    assert_eq!(played.in_force, BURST, "one that has answered before");
}

#[tokio::test]
async fn a_caller_that_restarts_or_counts_backwards_makes_no_peak() {
    let mut played = Played::with_callers(2, HOME).await;
    played.living[0].1 = [100_000.0, 0.0];
    played.seconds(20, 8.0).await;
    played.living[0].1 = [0.0, 0.0];
    played.seconds(5, 8.0).await;
    played.living[1].1[0] -= 5.0;
    played.seconds(20, 8.0).await;
    assert_eq!(played.in_force, HOME);
    assert!((7.0..9.0).contains(&played.rate()), "{}", played.rate());
}

#[tokio::test]
async fn callers_that_are_replaced_under_load_move_nothing() {
    for (in_force, rate) in [(BURST, 20.0), (HOME, 12.0)] {
        let mut played = Played::with_callers(2, in_force).await;
        played.seconds(20, rate).await;
        for _ in 0..2 {
            // The new caller begins with what it has counted before it is read.
            played.start_caller().await;
            played.living.last_mut().unwrap().1 = [300.0, 300.0];
            played.list_living();
            played.seconds(4, rate).await;
            played.living.remove(0);
            played.list_living();
            played.seconds(8, rate).await;
        }
        assert_eq!(played.in_force, in_force);
        assert!((played.rate() - rate).abs() < 0.1 * rate, "{}", played.rate());
        assert_eq!(played.observed.silent.len(), 0);
        let opposite = if in_force == HOME { (BURST, 30.0) } else { (HOME, 4.0) };
        played.until(opposite.0, opposite.1).await;
    }
}

#[tokio::test]
async fn a_name_that_lists_too_little_ends_no_caller_that_answers() {
    let mut played = Played::with_callers(2, BURST).await;
    played.seconds(5, 20.0).await;
    let one = vec![played.living[1].0.address];
    for names in [Err("no such name"), Ok(Vec::new()), Ok(one)] {
        played.list(names.clone());
        played.seconds(15, 18.0).await;
        assert_eq!((played.observed.answering, played.in_force), (2, BURST), "{names:?}");
    }
    let problem = |played: &Played| played.observed.problem();
    assert_eq!(problem(&played), None);
    played.list(Err("no such name"));
    played.second(18.0).await;
    assert_eq!(problem(&played), None, "a lookup may fail for once");
    played.seconds(10, 18.0).await;
    let text = problem(&played).unwrap();
    assert!(text.contains("no such name"), "{text}");
}

#[tokio::test]
async fn without_any_caller_nothing_is_known() {
    let mut played = Played::with_callers(0, BURST).await;
    played.list(Err("no such name"));
    played.second(0.0).await;
    let error = played.observed.observation().unwrap_err();
    assert_eq!(error, "the name of the callers: no such name");
    let mut played = Played::with_callers(2, BURST).await;
    played.seconds(5, 20.0).await;
    played.living.clear();
    played.seconds(30, 0.0).await;
    assert!(played.observed.observation().is_err());
    assert_eq!(played.in_force, BURST);
}

#[tokio::test]
async fn many_callers_that_hang_take_no_time_from_others_and_each_is_asked_again() {
    const HANGING: usize = 110;
    let mut played = Played::with_settings(1, HOME, &["--interval=200ms"]).await;
    let hanging = join_all((0..HANGING).map(async |_| ScriptedCaller::start().await)).await;
    hanging.iter().for_each(|caller| caller.break_with(Answer::Hang));
    let all = hanging.iter().chain([&played.living[0].0]).map(|caller| caller.address);
    played.list(Ok(all.collect()));
    // On a busy machine, a round asks fewer.
    let each_was_asked = |played: &Played| {
        let silent = &played.observed.silent;
        played.observed.answering == 1 && silent.iter().all(|silent| 0 < silent.failures)
    };
    let mut rounds = 0..50;
    while !each_was_asked(&played) || played.observed.silent.is_empty() {
        rounds.next().expect("each is asked");
        played.second(20.0).await;
    }
    let not_asked = |silent: &&Silent| matches!(silent.error, ScrapeError::NotAsked);
    let left = played.observed.silent.iter().filter(not_asked).count();
    assert!(HANGING - 3 * MAX_READS <= left, "{left} were left for later");
    hanging.iter().for_each(ScriptedCaller::mend);
    while played.observed.answering <= HANGING {
        rounds.next().expect("all answer again");
        played.second(20.0).await;
    }
}
