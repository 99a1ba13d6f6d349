//! Drives a load without a page, for benchmarks.

use std::time::Duration;

use anyhow::Context as _;
use chassis::{HttpUrl, Shutdown};
use contract::{Latencies, Ledger};
use tokio::{sync::watch, time::sleep};

use super::{Rate, SharedTally, processor::Processor, run};

/// How long the pacer and the load may take for the last slots after the rate has become zero: ten
/// times as long as usual.
const LAST_SLOTS: Duration = Duration::from_millis(20);

/// The highest rate, in requests per second. It is for measuring; a page has a lower limit.
const MAX_RATE: u32 = 100_000;

/// How many requests may be in flight: at the highest rate, those of 80 ms.
const MAX_IN_FLIGHT: usize = 8192;

/// The outcome of a load.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The state in which each request ended.
    pub ledger: Ledger,
    /// The times of the requests, over the whole load.
    pub latencies: Latencies,
}

/// Parses the rate of a load: 0.01 to 100000 requests per second.
///
/// # Errors
/// When the text is not such a rate; the error says what is accepted.
pub fn per_second(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| nonzero(*rate).is_some());
    rate.ok_or_else(|| format!("accepted: a number, 0.01 to {MAX_RATE}"))
}

fn nonzero(per_second: f64) -> Option<Rate> {
    Rate::from_per_second(per_second, MAX_RATE).filter(|rate| *rate != Rate::ZERO)
}

/// Sends `per_second` requests a second to `url` for some time, or until the shutdown, then waits
/// for the requests in flight.
///
/// # Errors
/// When the rate is not from 0.01 to 100000, or the address is not valid.
pub async fn drive(
    url: &HttpUrl,
    per_second: f64,
    time: Duration,
    shutdown: Shutdown,
) -> anyhow::Result<Outcome> {
    let rate = nonzero(per_second)
        .with_context(|| format!("{per_second}/s is not from 0.01 to {MAX_RATE}"))?;
    let (setting, rates) = watch::channel(Rate::ZERO);
    let (tally, all_ended) = (SharedTally::new(), Shutdown::new());
    let driven = run(Processor::new(url)?, rates, tally.clone(), MAX_IN_FLIGHT, all_ended.clone());
    let script = async {
        setting.send_replace(rate);
        tokio::select! {
            () = sleep(time) => {}
            () = shutdown.stopping() => {}
        }
        setting.send_replace(Rate::ZERO);
        // The pacer and the load need a moment for the last slots.
        sleep(LAST_SLOTS).await;
        // Requests have a timeout, so this loop ends.
        while 0 < tally.lock().ledger().in_flight {
            sleep(Duration::from_millis(10)).await;
        }
        all_ended.stop();
    };
    let (driven, ()) = tokio::join!(driven, script);
    driven?;
    let tally = tally.lock();
    Ok(Outcome { ledger: tally.ledger(), latencies: tally.total_latencies() })
}
