//! In the place of a worker, to measure a load: answers at once, late, or after a stall, and tells how
//! evenly requests came. It reads just enough of HTTP for that.

use std::{
    io::Write as _,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::{
    logs::LogSettings,
    server::listen_locally,
    settings::{Settings, duration, port},
};
use clap::Parser;
use frontend::per_second;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, sleep_until},
};

/// Answers every POST, and on Ctrl-C prints as JSON when requests came
#[derive(Debug, Parser)]
#[command(name = "sink", version)]
struct Config {
    /// Port to listen on, of this machine only
    #[arg(long, default_value_t = 8081, value_parser = port)]
    port: u16,

    /// The rate at which requests should come, per second, 0.001 to 10000
    #[arg(long, default_value_t = 20.0, value_parser = per_second, allow_negative_numbers = true)]
    rate: f64,

    /// How long each answer takes
    #[arg(long, default_value = "0s", value_parser = duration)]
    delay: Duration,

    /// When a stall begins, after the first request
    #[arg(long, default_value = "0s", value_parser = duration)]
    stall_at: Duration,

    /// How long nothing is answered then
    #[arg(long, default_value = "0s", value_parser = duration)]
    stall_for: Duration,

    /// How it logs.
    #[command(flatten)]
    logs: LogSettings,
}

impl Settings for Config {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }
}

/// When requests came. At 10,000 a second for a quarter of an hour, 140 MB: the sink is for short runs.
type Arrivals = Arc<Mutex<Vec<Instant>>>;

fn main() -> ExitCode {
    chassis::main(|config: Config, shutdown| async move {
        let listener = listen_locally("--port", config.port)?;
        let (config, arrivals) = (Arc::new(config), Arrivals::default());
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    tokio::spawn(answer_all(stream, Arc::clone(&config), Arc::clone(&arrivals)));
                }
                () = shutdown.stopping() => break,
            }
        }
        let arrivals =
            std::mem::take(&mut *arrivals.lock().unwrap_or_else(PoisonError::into_inner));
        writeln!(std::io::stdout(), "{}", analysis(arrivals, config.rate))?;
        Ok(())
    })
}

async fn answer_all(mut stream: TcpStream, config: Arc<Config>, arrivals: Arrivals) {
    let _ = stream.set_nodelay(true);
    let (mut buffer, mut filled) = ([0; 4096], 0);
    loop {
        while let Some(length) = request_length(&buffer[..filled]) {
            let now = Instant::now();
            let first = {
                let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                arrivals.push(now);
                arrivals[0]
            };
            buffer.copy_within(length..filled, 0);
            filled -= length;
            let stall = first + config.stall_at;
            if stall <= now && now < stall + config.stall_for {
                sleep_until(stall + config.stall_for).await;
            }
            if !config.delay.is_zero() {
                sleep(config.delay).await;
            }
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK").await.is_err() {
                return;
            }
        }
        match stream.read(&mut buffer[filled..]).await {
            Ok(0) | Err(_) => return,
            Ok(read) => filled += read,
        }
    }
}

/// The length of the request at the start of a buffer, if it is there in full.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?.to_ascii_lowercase();
    let body = text
        .split_once("content-length:")
        .map_or("0", |(_, rest)| rest.lines().next().unwrap_or("0"));
    let length = head + body.trim().parse::<usize>().ok()?;
    (length <= buffer.len()).then_some(length)
}

/// Jitter is the distance of each arrival from its place in an even row at the asked rate, which is laid so
/// that half of them come before their place and half after.
fn analysis(mut arrivals: Vec<Instant>, rate: f64) -> serde_json::Value {
    arrivals.sort_unstable();
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
        return json!({ "requests": 0 });
    };
    let seconds: Vec<_> = arrivals.iter().map(|at| (*at - *first).as_secs_f64()).collect();
    let mut offsets: Vec<_> =
        seconds.iter().enumerate().map(|(index, at)| at - index as f64 / rate).collect();
    offsets.sort_unstable_by(f64::total_cmp);
    let median = offsets[offsets.len() / 2];
    let mut jitter: Vec<_> =
        offsets.iter().map(|offset| (offset - median).abs() * 1000.0).collect();
    jitter.sort_unstable_by(f64::total_cmp);
    let quantile = |quantile: f64| jitter[((jitter.len() - 1) as f64 * quantile) as usize];
    let most_within = |width: f64| {
        let ends = seconds.iter().map(|at| seconds.partition_point(|other| *other < at + width));
        ends.enumerate().map(|(start, end)| end - start).max().unwrap_or(0)
    };
    let spanned = (*last - *first).as_secs_f64();
    json!({
        "requests": arrivals.len(),
        "seconds": spanned,
        "per_second": (arrivals.len() - 1) as f64 / spanned,
        "jitter_ms": { "p50": quantile(0.5), "p99": quantile(0.99), "max": quantile(1.0) },
        "most_in_1_ms": most_within(0.001),
        "most_in_100_ms": most_within(0.1),
    })
}
