//! Drives the frontend's load without a page, and prints what came of it.

use std::{io::Write as _, process::ExitCode, time::Duration};

use chassis::{
    HttpUrl,
    logs::LogSettings,
    settings::{Settings, duration},
};
use clap::Parser;
use contract::Percentiles;
use frontend::{Outcome, per_second, plain_url};
use serde_json::json;

/// Sends requests to a worker at a rate for a time or until Ctrl-C, and prints the ledger and the latencies
#[derive(Debug, Parser)]
#[command(name = "load", version)]
struct Config {
    /// Where the worker is
    #[arg(long, default_value = "http://127.0.0.1:8081", value_parser = plain_url)]
    url: HttpUrl,

    /// Requests per second, 0.001 to 10000
    #[arg(long, default_value_t = 20.0, value_parser = per_second, allow_negative_numbers = true)]
    rate: f64,

    /// How long requests are sent
    #[arg(long = "for", default_value = "10s", value_parser = duration)]
    time: Duration,

    /// Print JSON instead of text
    #[arg(long)]
    json: bool,

    /// How it logs.
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
        let text = if config.json { in_json(&outcome) } else { in_words(&outcome) };
        write!(std::io::stdout(), "{text}")?;
        Ok(())
    })
}

fn in_json(Outcome { ledger, latencies }: &Outcome) -> String {
    format!("{}\n", json!({ "ledger": ledger, "latencies_ms": latencies }))
}

fn in_words(Outcome { ledger, latencies }: &Outcome) -> String {
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
    for (name, of) in [
        ("corrected: from due to answer", latencies.corrected),
        ("service: from sent to answer", latencies.service),
        ("lateness: from due to sent", latencies.lateness),
    ] {
        let Percentiles { count, p50, p90, p99, max } = of;
        let shown = [p50, p90, p99, max].map(|ms| match count {
            0 => "–".to_owned(),
            _ => format!("{ms:.3}"),
        });
        let [p50, p90, p99, max] = shown;
        text += &format!("{name:<34}{p50:>10}{p90:>10}{p99:>10}{max:>10}\n");
    }
    text
}
