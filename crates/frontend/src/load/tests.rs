//! The whole load under a clock that the tests move: the schedule, the sending, the counting; the pacer's
//! decisions without its thread, and workers that do as they are told.

use std::{collections::VecDeque, sync::Mutex};

use proptest::prelude::*;
use tokio::time::{advance, sleep, sleep_until};

use super::{pacer::Pacing, *};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What workers do with a request.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Answer,
    /// Answer without saying what the calculation is.
    AnswerBarely,
    Fail(Failure),
    /// Answer nothing before then.
    StallUntil(Instant),
}

/// Workers that do as they are told.
#[derive(Clone)]
struct Told(Arc<Mutex<(Manner, Duration)>>);

impl Workers for Told {
    async fn process(&self) -> Result<Option<String>, Failure> {
        let (manner, takes) = *self.0.lock().unwrap();
        sleep(takes).await;
        match manner {
            Manner::Answer => Ok(Some(format!("{}{:044}", "bursty-", fastrand::u64(..)))),
            Manner::AnswerBarely => Ok(None),
            Manner::Fail(failure) => Err(failure),
            Manner::StallUntil(end) => {
                sleep_until(end).await;
                Ok(None)
            }
        }
    }
}

/// The load, a rate and the time that passes.
struct Play {
    load: Load<Told>,
    pacing: Pacing,
    rate: u32,
    /// The count of slots that have come, in thousandths of a request per second × nanoseconds.
    area: u128,
    /// When each request was sent, of the last.
    sends: VecDeque<(Duration, u64)>,
}

impl Play {
    fn new() -> Self {
        let told = Told(Arc::new(Mutex::new((Manner::Answer, Duration::ZERO))));
        let load = Load::new(told, SharedTally::new());
        Self { load, pacing: Pacing::new(), rate: 0, area: 0, sends: VecDeque::new() }
    }

    fn tell(&self, manner: Manner, takes: Duration) {
        *self.load.workers.0.lock().unwrap() = (manner, takes);
    }

    fn now(&self) -> Duration {
        self.load.tally.now()
    }

    fn ledger(&self) -> contract::Ledger {
        self.load.tally.lock().ledger()
    }

    fn latencies(&self) -> contract::Latencies {
        self.load.tally.lock().latencies_in_all()
    }

    /// Asks for a rate, in thousandths.
    fn ask(&mut self, millis: u32) {
        self.rate = millis;
        self.pacing.set_rate(self.now(), Rate::from_millis(millis));
    }

    /// Lets time pass as it does, with a look whenever there is something to be sent.
    async fn run(&mut self, time: Duration) {
        let (start, end) = (self.now(), self.now() + time);
        loop {
            self.look();
            let next = self.pacing.next(self.now()).map_or(end, |next| next.min(end));
            if end <= self.now() {
                break;
            }
            sleep(next.saturating_sub(self.now()).max(Duration::from_nanos(1))).await;
        }
        self.area += u128::from(self.rate) * (self.now() - start).as_nanos();
    }

    /// Lets time pass in which this process does nothing.
    async fn freeze(&mut self, time: Duration) {
        let start = self.now();
        advance(time).await;
        self.area += u128::from(self.rate) * (self.now() - start).as_nanos();
    }

    fn look(&mut self) {
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

    /// Ends the load, and waits for what is in flight.
    async fn end(&mut self) {
        self.ask(0);
        self.look();
        sleep(REQUEST_TIMEOUT + ms(2)).await;
        self.check_adds_up();
        let ledger = self.ledger();
        assert_eq!(ledger.in_flight, 0);
        let come = u64::try_from(self.area / 1_000_000_000_000).unwrap();
        assert_eq!(ledger.planned, come, "every slot is somewhere");
    }

    /// The most requests that were sent within a stretch of time.
    fn most_within(&self, width: Duration) -> u64 {
        let within = |start: Duration| {
            let of = self.sends.iter().filter(|(at, _)| start <= *at && *at < start + width);
            of.map(|(_, sent)| sent).sum()
        };
        self.sends.iter().map(|(at, _)| within(*at)).max().unwrap_or(0)
    }
}

#[tokio::test(start_paused = true)]
async fn every_rate_is_held_exactly() {
    for rate in [300, 400, 700, 1000] {
        let mut play = Play::new();
        play.ask(rate * 1000);
        play.run(ms(10_000)).await;
        assert_eq!(play.ledger().sent, u64::from(rate) * 10);
        play.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn slow_answers_do_not_slow_the_load() {
    let mut play = Play::new();
    play.tell(Manner::AnswerBarely, ms(200));
    play.ask(1_000_000);
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
    play.ask(1_000_000);
    play.run(ms(5000)).await;
    play.tell(Manner::StallUntil(Instant::now() + ms(1000)), Duration::ZERO);
    play.run(ms(1000)).await;
    play.tell(Manner::Answer, Duration::ZERO);
    play.run(ms(14_000)).await;
    play.end().await;
    assert_eq!(play.ledger().sent, 20_000);
    // One request in twenty waited, evenly for up to a second: one in a hundred for more than 0.8 s.
    let p99 = play.latencies().corrected.p99;
    assert!((p99 / 800.0 - 1.0).abs() < 0.05, "{p99}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_second_is_not_made_good_in_a_burst() {
    let mut play = Play::new();
    play.ask(1_000_000);
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
async fn what_is_beyond_the_cap_is_shed_and_nothing_else() {
    let mut play = Play::new();
    play.tell(Manner::Answer, ms(60_000));
    play.ask(1_000_000);
    // No request has been given up yet.
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
        play.ask(rate * 1000);
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
    Ask(u32),
    Tell(u8, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask = prop_oneof![1 => Just(0), 3 => 1..2_000_000_u32, 1 => 2_000_000..10_000_000_u32];
    let takes = prop_oneof![3 => 0..50_u64, 1 => 50..10_000_u64];
    let step = prop_oneof![
        4 => (0..400_u64).prop_map(Step::Run),
        1 => (0..3000_u64).prop_map(Step::Freeze),
        3 => ask.prop_map(Step::Ask),
        3 => (0..8_u8, takes).prop_map(|(manner, takes)| Step::Tell(manner, takes)),
    ];
    proptest::collection::vec(step, 1..25)
}

fn manner(number: u8, takes: u64) -> Manner {
    match number {
        0 => Manner::Answer,
        1 => Manner::AnswerBarely,
        2 => Manner::Fail(Failure::Connect),
        3 => Manner::Fail(Failure::Reset),
        4 => Manner::Fail(Failure::Status(503)),
        5 => Manner::Fail(Failure::Status(500)),
        6 => Manner::Fail(Failure::Status(404)),
        _ => Manner::StallUntil(Instant::now() + ms(takes)),
    }
}

async fn play(steps: Vec<Step>) {
    let mut play = Play::new();
    for step in steps {
        match step {
            Step::Run(time) => play.run(ms(time)).await,
            Step::Freeze(time) => play.freeze(ms(time)).await,
            Step::Ask(millis) => play.ask(millis),
            Step::Tell(number, takes) => {
                let takes = if number == 7 { 0 } else { takes };
                play.tell(manner(number, takes), ms(takes));
            }
        }
        play.check_adds_up();
        play.sends.clear();
    }
    play.end().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Through any sequence of rates, slow and failing workers, stalls and freezes, at every look: every
    /// planned request is counted in one place, and in the end none is left over.
    #[test]
    fn the_ledger_adds_up_at_every_instant(steps in steps()) {
        let mut runtime = runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true);
        runtime.build().unwrap().block_on(play(steps));
    }
}
