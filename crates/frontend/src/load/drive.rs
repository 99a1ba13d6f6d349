//! Drives a load without a page.

use std::time::Duration;

use anyhow::Context as _;
use chassis::{HttpUrl, Shutdown};
use contract::{Latencies, Ledger};
use tokio::{sync::watch, time::sleep};

use super::{MAX_RATE, Rate, SharedTally, processor::Processor, run};

/// How long the pacer and the load may take for the slots that have come when the rate becomes zero: ten times
/// what they usually do.
const LAST_SLOTS: Duration = Duration::from_millis(20);

/// What came of driving a load for a while.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Where every request has ended.
    pub ledger: Ledger,
    /// How long things took, over the whole time.
    pub latencies: Latencies,
}

/// Parses a rate that can be driven: 0.001 to 10000 requests per second.
///
/// # Errors
/// Says what is accepted.
pub fn per_second(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| is_driven(*rate).is_some());
    rate.ok_or_else(|| format!("accepted: a number, 0.001 to {MAX_RATE}"))
}

fn is_driven(per_second: f64) -> Option<Rate> {
    Rate::from_per_second(per_second, MAX_RATE).filter(|rate| *rate != Rate::ZERO)
}

/// Sends `per_second` requests a second to `url` for some time, or until `shutdown`, then waits for those
/// in flight.
///
/// # Errors
/// When the rate is not one from 0.001 to 10000, or the address is none.
pub async fn drive(
    url: &HttpUrl,
    per_second: f64,
    time: Duration,
    shutdown: Shutdown,
) -> anyhow::Result<Outcome> {
    let rate = is_driven(per_second)
        .with_context(|| format!("{per_second}/s is not from 0.001 to {MAX_RATE}"))?;
    let (setting, rates) = watch::channel(Rate::ZERO);
    let (tally, all_ended) = (SharedTally::new(), Shutdown::new());
    let driven = run(Processor::new(url)?, rates, tally.clone(), all_ended.clone());
    let script = async {
        setting.send_replace(rate);
        tokio::select! {
            () = sleep(time) => {}
            () = shutdown.stopping() => {}
        }
        setting.send_replace(Rate::ZERO);
        // The slots that have come by now are sent or counted a moment later.
        sleep(LAST_SLOTS).await;
        // Requests have a timeout, so this ends.
        while 0 < tally.lock().ledger().in_flight {
            sleep(Duration::from_millis(10)).await;
        }
        all_ended.stop();
    };
    let (driven, ()) = tokio::join!(driven, script);
    driven?;
    let tally = tally.lock();
    Ok(Outcome { ledger: tally.ledger(), latencies: tally.latencies_in_all() })
}
