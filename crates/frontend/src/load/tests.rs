//! The whole load under a clock that the tests move: the schedule, the sending, the counting. The
//! tests use the pacer's decisions without its timer, and workers whose behavior they set.

use std::{collections::VecDeque, sync::Mutex};

use proptest::prelude::*;
use tokio::time::{advance, sleep, sleep_until};

use super::{pacer::Pacing, *};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The behavior of the workers.
#[derive(Clone, Copy, Debug)]
enum Behavior {
    Answer,
    /// Answer without a calculation.
    AnswerOnly,
    Fail(Failure),
    /// Answer nothing before a moment.
    StallUntil(Instant),
}

/// Workers whose behavior, and the time it takes, the tests set.
#[derive(Clone)]
struct ScriptedWorkers(Arc<Mutex<(Behavior, Duration)>>);

impl Workers for ScriptedWorkers {
    async fn process(&self) -> Result<Option<String>, Failure> {
        let (behavior, time) = *self.0.lock().unwrap();
        sleep(time).await;
        match behavior {
            Behavior::Answer => Ok(Some(format!("{}{:044}", "bursty-", fastrand::u64(..)))),
            Behavior::AnswerOnly => Ok(None),
            Behavior::Fail(failure) => Err(failure),
            Behavior::StallUntil(end) => {
                sleep_until(end).await;
                Ok(None)
            }
        }
    }
}

/// The load, a rate and the time that passes.
struct Play {
    load: Load<ScriptedWorkers>,
    pacing: Pacing,
    rate: u32,
    /// The count of slots that have come, in thousandths of a request per second × nanoseconds.
    area: u128,
    /// The number of requests sent at each wake-up.
    sends: VecDeque<(Duration, u64)>,
}

impl Play {
    fn new() -> Self {
        let workers = Arc::new(Mutex::new((Behavior::Answer, Duration::ZERO)));
        let load = Load::new(ScriptedWorkers(workers), SharedTally::new(), MAX_IN_FLIGHT);
        Self { load, pacing: Pacing::new(), rate: 0, area: 0, sends: VecDeque::new() }
    }

    fn script(&self, behavior: Behavior, time: Duration) {
        *self.load.workers.0.lock().unwrap() = (behavior, time);
    }

    fn now(&self) -> Duration {
        self.load.tally.now()
    }

    fn ledger(&self) -> contract::Ledger {
        self.load.tally.lock().ledger()
    }

    fn latencies(&self) -> contract::Latencies {
        self.load.tally.lock().total_latencies()
    }

    /// Sets the rate, in thousandths of a request per second.
    fn set_rate(&mut self, millis: u32) {
        self.rate = millis;
        self.pacing.set_rate(self.now(), Rate::from_millis(millis));
    }

    /// Lets time pass, and wakes up whenever a slot may be sent.
    async fn run(&mut self, time: Duration) {
        let (start, end) = (self.now(), self.now() + time);
        loop {
            self.wake_up();
            let next = self.pacing.next(self.now()).map_or(end, |next| next.min(end));
            if end <= self.now() {
                break;
            }
            sleep(next.saturating_sub(self.now()).max(Duration::from_nanos(1))).await;
        }
        self.area += u128::from(self.rate) * (self.now() - start).as_nanos();
    }

    /// Lets time pass while the process does nothing.
    async fn freeze(&mut self, time: Duration) {
        let start = self.now();
        advance(time).await;
        self.area += u128::from(self.rate) * (self.now() - start).as_nanos();
    }

    fn wake_up(&mut self) {
        let before = self.ledger().sent;
        let batch = self.pacing.take(self.now());
        self.load.send(&batch);
        self.check_adds_up();
        self.sends.push_back((self.now(), self.ledger().sent - before));
    }

    #[track_caller]
    fn check_adds_up(&self) {
        let ledger = self.ledger();
        let contract::Ledger { planned, sent, missed, shed, answered, failed, in_flight } = ledger;
        assert_eq!(planned, sent + missed + shed, "{ledger:?}");
        assert_eq!(sent, answered + failed.total() + in_flight, "{ledger:?}");
        assert!(in_flight <= MAX_IN_FLIGHT as u64, "{ledger:?}");
        assert_eq!(in_flight as usize, MAX_IN_FLIGHT - self.load.permits.available_permits());
    }

    /// Ends the load, and waits for the requests in flight.
    async fn end(&mut self) {
        self.set_rate(0);
        self.wake_up();
        sleep(REQUEST_TIMEOUT + ms(2)).await;
        self.check_adds_up();
        let ledger = self.ledger();
        assert_eq!(ledger.in_flight, 0);
        let come = u64::try_from(self.area / 1_000_000_000_000).unwrap();
        assert_eq!(ledger.planned, come, "every slot is counted");
    }

    /// The highest number of requests that were sent within a time.
    fn most_within(&self, width: Duration) -> u64 {
        let within = |start: Duration| {
            let sends = self.sends.iter().filter(|(at, _)| start <= *at && *at < start + width);
            sends.map(|(_, sent)| sent).sum()
        };
        self.sends.iter().map(|(at, _)| within(*at)).max().unwrap_or(0)
    }
}

#[tokio::test(start_paused = true)]
async fn every_rate_is_held_exactly() {
    for rate in [300, 400, 700, 1000] {
        let mut play = Play::new();
        play.set_rate(rate * 1000);
        play.run(ms(10_000)).await;
        assert_eq!(play.ledger().sent, u64::from(rate) * 10);
        play.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn slow_answers_do_not_slow_the_load() {
    let mut play = Play::new();
    play.script(Behavior::AnswerOnly, ms(200));
    play.set_rate(1_000_000);
    play.run(ms(10_000)).await;
    play.end().await;
    let ledger = play.ledger();
    assert_eq!((ledger.answered, ledger.missed, ledger.shed), (10_000, 0, 0));
    let p50 = play.latencies().corrected.p50;
    assert!((200.0..203.0).contains(&p50), "{p50}");
}

#[tokio::test(start_paused = true)]
async fn a_stall_shows_in_the_corrected_latency() {
    let mut play = Play::new();
    play.set_rate(1_000_000);
    play.run(ms(5000)).await;
    play.script(Behavior::StallUntil(Instant::now() + ms(1000)), Duration::ZERO);
    play.run(ms(1000)).await;
    play.script(Behavior::Answer, Duration::ZERO);
    play.run(ms(14_000)).await;
    play.end().await;
    assert_eq!(play.ledger().sent, 20_000);
    // One request in twenty waited for up to a second, evenly; one in a hundred for more than 0.8
    // s.
    let p99 = play.latencies().corrected.p99;
    assert!((p99 / 800.0 - 1.0).abs() < 0.05, "{p99}");
}

#[tokio::test(start_paused = true)]
async fn the_load_does_not_catch_up_a_frozen_second_in_a_burst() {
    let mut play = Play::new();
    play.set_rate(1_000_000);
    play.run(ms(2000)).await;
    play.freeze(ms(1000)).await;
    play.run(ms(2000)).await;
    let most = play.most_within(ms(100));
    assert!((150..=220).contains(&most), "{most} in 100 ms");
    assert!((880..=910).contains(&play.ledger().missed), "{:?}", play.ledger());
    assert_eq!(play.ledger().sent + play.ledger().missed, 5000);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn only_requests_beyond_the_limit_are_shed() {
    let mut play = Play::new();
    play.script(Behavior::Answer, ms(60_000));
    play.set_rate(1_000_000);
    // No request has timed out yet.
    play.run(ms(2500)).await;
    let ledger = play.ledger();
    assert_eq!(ledger.in_flight, MAX_IN_FLIGHT as u64);
    assert_eq!(ledger.shed, ledger.planned - ledger.sent);
    assert_eq!(ledger.planned, 2500);
    play.end().await;
    assert_eq!(play.ledger().failed.timeout, MAX_IN_FLIGHT as u64);
}

#[tokio::test(start_paused = true)]
async fn ten_changes_a_second_neither_lose_nor_add_a_request() {
    let mut play = Play::new();
    let mut exact = 0.0;
    for change in 0..100_u32 {
        let rate = 1 + (change * 37) % 900;
        play.set_rate(rate * 1000);
        play.run(ms(100)).await;
        exact += f64::from(rate) / 10.0;
        let sent = play.ledger().sent as f64;
        assert!((sent - exact).abs() <= 2.0, "{sent} of {exact} after {change} changes");
    }
    play.end().await;
}

#[derive(Clone, Debug)]
enum Step {
    Run(u64),
    Freeze(u64),
    SetRate(u32),
    Script(u8, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rate = prop_oneof![1 => Just(0), 3 => 1..2_000_000_u32, 1 => 2_000_000..10_000_000_u32];
    let time = prop_oneof![3 => 0..50_u64, 1 => 50..10_000_u64];
    let step = prop_oneof![
        4 => (0..400_u64).prop_map(Step::Run),
        1 => (0..3000_u64).prop_map(Step::Freeze),
        3 => rate.prop_map(Step::SetRate),
        3 => (0..8_u8, time).prop_map(|(behavior, time)| Step::Script(behavior, time)),
    ];
    proptest::collection::vec(step, 1..25)
}

fn behavior(number: u8, time: u64) -> Behavior {
    match number {
        0 => Behavior::Answer,
        1 => Behavior::AnswerOnly,
        2 => Behavior::Fail(Failure::Connect),
        3 => Behavior::Fail(Failure::Reset),
        4 => Behavior::Fail(Failure::Status(503)),
        5 => Behavior::Fail(Failure::Status(500)),
        6 => Behavior::Fail(Failure::Status(404)),
        _ => Behavior::StallUntil(Instant::now() + ms(time)),
    }
}

async fn play(steps: Vec<Step>) {
    let mut play = Play::new();
    for step in steps {
        match step {
            Step::Run(time) => play.run(ms(time)).await,
            Step::Freeze(time) => play.freeze(ms(time)).await,
            Step::SetRate(millis) => play.set_rate(millis),
            Step::Script(number, time) => {
                let time = if number == 7 { 0 } else { time };
                play.script(behavior(number, time), ms(time));
            }
        }
        play.check_adds_up();
        play.sends.clear();
    }
    play.end().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever the sequence of rates, slow or failing workers, stalls and freezes: at every
    /// wake-up each planned request is in exactly one state, and in the end none is in flight.
    #[test]
    fn the_ledger_adds_up_at_every_moment(steps in steps()) {
        let mut runtime = runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true);
        runtime.build().unwrap().block_on(play(steps));
    }
}
