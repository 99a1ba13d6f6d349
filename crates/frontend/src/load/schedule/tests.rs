use proptest::prelude::*;
use serde_json::json;

use super::*;

fn rate(per_second: f64) -> Rate {
    Rate::parse(&json!({ "freq": per_second }), 10_000).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn take(schedule: &mut Schedule, now: Duration) -> (usize, u64) {
    let mut due = Vec::new();
    let missed = schedule.take_due(now, &mut due);
    (due.len(), missed)
}

#[test]
fn holds_every_rate_without_drift() {
    for per_second in [0.5, 1.0, 2.5, 3.0, 7.0, 300.0, 400.0, 700.0, 1000.0, 10_000.0] {
        let mut schedule = Schedule::new();
        schedule.set_rate(Duration::ZERO, rate(per_second));
        let mut sent = Vec::new();
        while let Some(at) = schedule.next().filter(|at| *at <= Duration::from_secs(60)) {
            let before = sent.len();
            assert_eq!(schedule.take_due(at, &mut sent), 0);
            assert_eq!(sent.len(), before + 1, "one slot is due when its time has come");
            assert_eq!(sent[before], at);
        }
        assert_eq!(sent.len() as f64, per_second * 60.0, "at {per_second}/s");
        for (index, at) in sent.iter().enumerate() {
            let ideal_ns = (index + 1) as f64 / per_second * 1e9;
            assert!(
                (at.as_nanos() as f64 - ideal_ns).abs() <= 1.0,
                "slot {index} at {per_second}/s"
            );
        }
    }
}

#[test]
fn a_rate_of_zero_has_no_slots() {
    let mut schedule = Schedule::new();
    assert_eq!(schedule.next(), None);
    assert_eq!(take(&mut schedule, Duration::from_secs(1000)), (0, 0));
}

#[test]
fn a_change_of_rate_keeps_the_passed_part_of_a_slot() {
    let mut schedule = Schedule::new();
    schedule.set_rate(Duration::ZERO, rate(1.0));
    schedule.set_rate(ms(600), rate(10.0));
    assert_eq!(schedule.next(), Some(ms(640)), "the missing 0.4 of a slot take 40 ms at 10/s");
    schedule.set_rate(ms(620), Rate::ZERO);
    assert_eq!(schedule.next(), None);
    schedule.set_rate(ms(5000), rate(1.0));
    assert_eq!(schedule.next(), Some(ms(5200)), "0.8 of a slot had passed");
}

#[test]
fn a_late_call_takes_every_slot_with_its_own_due_time() {
    let mut schedule = Schedule::new();
    schedule.set_rate(Duration::ZERO, rate(1000.0));
    let mut due = Vec::new();
    assert_eq!(schedule.take_due(ms(5), &mut due), 0);
    assert_eq!(due, [1, 2, 3, 4, 5].map(ms));
}

#[test]
fn late_slots_are_sent_at_twice_the_rate_and_older_ones_are_missed() {
    let mut schedule = Schedule::new();
    schedule.set_rate(Duration::ZERO, rate(1000.0));
    take(&mut schedule, ms(10));
    // The process is frozen for a second, then runs each millisecond.
    let (mut sent, mut missed) = (0, 0);
    for now in 1010..1110 {
        let (now_sent, now_missed) = take(&mut schedule, ms(now));
        sent += now_sent;
        missed += now_missed;
    }
    assert!((190..=220).contains(&sent), "{sent} in 100 ms, where 200 is twice the rate");
    assert!((880..=910).contains(&missed), "{missed}");
    let (sent, missed) = take(&mut schedule, ms(1200));
    assert!(missed == 0 && sent <= 11, "caught up: {sent}, {missed}");
}

#[test]
fn a_waiting_slot_is_next_as_soon_as_it_may_be_sent() {
    let mut schedule = Schedule::new();
    schedule.set_rate(Duration::ZERO, rate(100.0));
    let (sent, _) = take(&mut schedule, ms(60));
    assert_eq!(sent, 1, "twice 100/s is one in 5 ms");
    assert_eq!(schedule.next(), Some(ms(65)));
    assert_eq!(take(&mut schedule, ms(65)), (1, 0));
}

#[test]
fn a_lower_rate_still_sends_the_due_slots_and_zero_does_not() {
    let mut schedule = Schedule::new();
    schedule.set_rate(Duration::ZERO, rate(1000.0));
    assert_eq!(schedule.set_rate(ms(5), rate(1.0)), 0);
    assert_eq!(take(&mut schedule, ms(5)).0, 5);
    schedule.set_rate(ms(5), rate(1000.0));
    assert_eq!(schedule.set_rate(ms(10), Rate::ZERO), 5);
    assert_eq!(take(&mut schedule, ms(10)), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    /// Time passes, then slots are taken.
    Wait(u64),
    /// The rate changes, in thousandths of a request per second.
    Rate(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![8 => 0..2_000_000_u64, 2 => 0..2_000_000_000_u64].prop_map(Step::Wait);
    let rate = prop_oneof![1 => Just(0), 6 => 1..10_000_000_u32].prop_map(Step::Rate);
    proptest::collection::vec(prop_oneof![5 => wait, 1 => rate], 1..300)
}

proptest! {
    /// Whatever the sequence of waits, freezes and changes of the rate: no slot is lost or added,
    /// no slot is sent before it is due, more than 100 ms late, or out of order, and at no time are
    /// slots sent at more than twice the rate.
    #[test]
    fn every_slot_is_sent_in_time_or_missed(steps in steps()) {
        let mut schedule = Schedule::new();
        let (mut now, mut rate, mut highest) = (0_u64, 0_u32, 0_u32);
        let (mut area, mut sent, mut missed) = (0_u128, 0_u64, 0_u64);
        let mut last_due = Duration::ZERO;
        for step in steps {
            match step {
                Step::Wait(passed) => {
                    now += passed;
                    area += u128::from(rate) * u128::from(passed);
                }
                Step::Rate(new) => {
                    rate = new;
                    highest = highest.max(new);
                    missed += schedule.set_rate(Duration::from_nanos(now), Rate::from_millis(rate));
                }
            }
            let at = Duration::from_nanos(now);
            let mut due = Vec::new();
            missed += schedule.take_due(at, &mut due);
            for due in &due {
                prop_assert!(*due <= at && at - *due <= MAX_LATENESS, "due {due:?} at {at:?}");
                prop_assert!(last_due <= *due);
                last_due = *due;
            }
            let burst = 1 + u64::from(highest) * 2 * 5 / 1_000_000;
            prop_assert!(due.len() as u64 <= burst + 1, "{} in one call", due.len());
            sent += due.len() as u64;
            let come = u64::try_from(area / SLOT).unwrap();
            let waiting = schedule.waiting.len() as u64;
            prop_assert_eq!(come, sent + missed + waiting);
            prop_assert!(waiting <= u64::from(highest) / 10_000 + 1, "{} are waiting", waiting);
            if let Some(next) = schedule.next() {
                prop_assert!(at < next, "next {next:?} at {at:?}");
            }
        }
    }
}
