//! The sink: it stands for a worker, to measure a load. It answers at once, late, or after a stall,
//! and reports how evenly the requests came. It reads only as much of HTTP as it needs.

mod analysis;

use std::{
    io::Write as _,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::{logs::LogSettings, server::listen_locally, settings::Settings};
use clap::Parser;
use frontend::per_second;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, sleep_until},
};
use value_parsers::{duration, port};

/// Answers every POST; on Ctrl-C, prints as JSON when the requests came
#[derive(Debug, Parser)]
#[command(name = "sink", version)]
struct Config {
    /// The port to listen on, for this machine only; 0 is any free port
    #[arg(long, default_value_t = 8081, value_parser = port)]
    port: u16,

    /// The rate at which the requests should come, per second, 0.01 to 100000
    #[arg(long, default_value_t = 20.0, value_parser = per_second, allow_negative_numbers = true)]
    rate: f64,

    /// How long each answer takes
    #[arg(long, default_value = "0s", value_parser = duration)]
    delay: Duration,

    /// When the stall begins, after the first request
    #[arg(long, default_value = "0s", value_parser = duration)]
    stall_at: Duration,

    /// How long the stall lasts, in which nothing is answered
    #[arg(long, default_value = "0s", value_parser = duration)]
    stall_for: Duration,

    /// How the sink logs.
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
        let listener = listen_locally("--port", config.port)?;
        let (config, arrivals) = (Arc::new(config), Arrivals::default());
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    tokio::spawn(answer_all(stream, Arc::clone(&config), arrivals.clone()));
                }
                () = shutdown.stopping() => break,
            }
        }
        let arrivals = std::mem::take(&mut *arrivals.lock());
        writeln!(std::io::stdout(), "{}", analysis::analyze(arrivals, config.rate))?;
        Ok(())
    })
}

/// When the requests came. A quarter of an hour at 10,000 a second needs 140 MB, so the sink is for
/// short runs.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<Instant>>>);

impl Arrivals {
    /// Records an arrival; returns the first one.
    fn record(&self, now: Instant) -> Instant {
        let mut arrivals = self.lock();
        arrivals.push(now);
        arrivals[0]
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer_all(mut stream: TcpStream, config: Arc<Config>, arrivals: Arrivals) {
    let _ = stream.set_nodelay(true);
    let (mut buffer, mut filled) = ([0; 4096], 0);
    loop {
        while let Some(length) = request_length(&buffer[..filled]) {
            buffer.copy_within(length..filled, 0);
            filled -= length;
            let now = Instant::now();
            wait(&config, now, arrivals.record(now)).await;
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

/// Waits as long as the answer to a request should take.
async fn wait(config: &Config, now: Instant, first: Instant) {
    let stall = first + config.stall_at;
    if stall <= now && now < stall + config.stall_for {
        sleep_until(stall + config.stall_for).await;
    }
    if !config.delay.is_zero() {
        sleep(config.delay).await;
    }
}

/// Returns the length of the request at the start of a buffer; `None` if it is incomplete.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?.to_ascii_lowercase();
    let body = text
        .split_once("content-length:")
        .map_or("0", |(_, rest)| rest.lines().next().unwrap_or("0"));
    let length = head + body.trim().parse::<usize>().ok()?;
    (length <= buffer.len()).then_some(length)
}
