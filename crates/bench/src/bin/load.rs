//! Runs the frontend's load without a page, and prints its ledger and latencies.

use std::{io::Write as _, process::ExitCode, time::Duration};

use chassis::{HttpUrl, logs::LogSettings, settings::Settings};
use clap::Parser;
use contract::Percentiles;
use frontend::{Outcome, per_second, plain_url};
use serde_json::json;
use value_parsers::duration;

/// Sends requests to a worker at a rate, for a time or until Ctrl-C; then prints the ledger and the
/// latencies
#[derive(Debug, Parser)]
#[command(name = "load", version)]
struct Config {
    /// The URL of the worker
    #[arg(long, default_value = "http://127.0.0.1:8081", value_parser = plain_url)]
    url: HttpUrl,

    /// The rate, in requests per second, 0.01 to 100000
    #[arg(long, default_value_t = 20.0, value_parser = per_second, allow_negative_numbers = true)]
    rate: f64,

    /// How long to send requests
    #[arg(long = "for", default_value = "10s", value_parser = duration)]
    time: Duration,

    /// Print JSON instead of text
    #[arg(long)]
    json: bool,

    /// How the load logs.
    #[command(flatten)]
    logs: LogSettings,
}

impl Settings for Config {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }
}

fn main() -> ExitCode {
    chassis::main(|config: Config, shutdown| async move {
        let outcome = frontend::drive(&config.url, config.rate, config.time, shutdown).await?;
        let text = if config.json { to_json(&outcome) } else { to_text(&outcome) };
        write!(std::io::stdout(), "{text}")?;
        Ok(())
    })
}

fn to_json(Outcome { ledger, latencies }: &Outcome) -> String {
    format!("{}\n", json!({ "ledger": ledger, "latencies_ms": latencies }))
}

fn to_text(Outcome { ledger, latencies }: &Outcome) -> String {
    let failed = ledger.failed;
    let mut text = format!(
        "planned {} = sent {} + missed {} + shed {}\n\
         sent    {} = answered {} + failed {} + in flight {}\n\
         failed  {} = connect {} + timeout {} + reset {} + unavailable {} + server error {} + refused {}\n\n\
         {:<34}{:>10}{:>10}{:>10}{:>10}\n",
        ledger.planned,
        ledger.sent,
        ledger.missed,
        ledger.shed,
        ledger.sent,
        ledger.answered,
        failed.total(),
        ledger.in_flight,
        failed.total(),
        failed.connect,
        failed.timeout,
        failed.reset,
        failed.unavailable,
        failed.server_error,
        failed.refused,
        "latency, ms",
        "p50",
        "p90",
        "p99",
        "max",
    );
    for (name, percentiles) in [
        ("corrected: from due to answer", latencies.corrected),
        ("service: from sent to answer", latencies.service),
        ("lateness: from due to sent", latencies.lateness),
    ] {
        let Percentiles { count, p50, p90, p99, max } = percentiles;
        let cells = [p50, p90, p99, max].map(|ms| match count {
            0 => "–".to_owned(),
            _ => format!("{ms:.3}"),
        });
        let [p50, p90, p99, max] = cells;
        text += &format!("{name:<34}{p50:>10}{p90:>10}{p99:>10}{max:>10}\n");
    }
    text
}
