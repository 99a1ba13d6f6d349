//! Keeps a dependency connected, however often the connection is lost.

use std::{convert::Infallible, fmt::Display, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use crate::probes::Dependency;

/// The first wait after a failed attempt. A random jitter makes each wait up to twice as long, so
/// the processes that lost the same dependency do not all reconnect at the same moment.
const FIRST_WAIT: Duration = Duration::from_millis(25);

/// The longest wait without its jitter. A process reconnects within half a second.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// How often a connection is checked.
const PING_EVERY: Duration = Duration::from_secs(1);

/// How long the answer to a check may take.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects, holds the connection until it is lost, and connects again, forever.
///
/// `hold` uses each connection, and returns why it was lost.
pub async fn keep<C, E: Display>(
    dependency: Dependency,
    mut connect: impl AsyncFnMut() -> Result<C, E>,
    mut hold: impl AsyncFnMut(C) -> String,
) -> Infallible {
    let mut waits = backoff();
    loop {
        let reason = match connect().await {
            Ok(connection) => {
                dependency.up();
                let since = Instant::now();
                let reason = hold(connection).await;
                // A connection that is lost at once counts as a failed attempt.
                if LONGEST_WAIT < since.elapsed() {
                    waits = backoff();
                }
                reason
            }
            Err(error) => error.to_string(),
        };
        dependency.down(reason);
        tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT)).await;
    }
}

/// Checks a connection every second, and returns the reason once a check fails or is not answered
/// within two seconds. A silent connection is noticed within three seconds.
pub async fn until_silent<F, E: Display>(mut ping: impl FnMut() -> F) -> String
where
    F: Future<Output = Result<(), E>>,
{
    loop {
        tokio::time::sleep(PING_EVERY).await;
        match tokio::time::timeout(PING_TIMEOUT, ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return format!("silent for {PING_TIMEOUT:?}"),
        }
    }
}

fn backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::pending};

    use super::*;
    use crate::{Shutdown, probes::Readiness};

    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_returns_is_connected_within_half_a_second() {
        let readiness = Readiness::new(Shutdown::new());
        let dependency = readiness.register("redis");
        let start = Instant::now();
        let back_at = start + Duration::from_secs(60);
        let attempts = Cell::new(0_u32);

        let connect = async || {
            attempts.set(attempts.get() + 1);
            if Instant::now() < back_at { Err("refused") } else { Ok(Instant::now()) }
        };
        let connected_at = Cell::new(start);
        let hold = async |at| {
            connected_at.set(at);
            pending::<String>().await
        };
        let _ =
            tokio::time::timeout(Duration::from_secs(62), keep(dependency, connect, hold)).await;

        assert!(connected_at.get() - back_at <= Duration::from_millis(500));
        assert!((120..=250).contains(&attempts.get()), "{} attempts", attempts.get());
        assert_eq!(readiness.not_ready_reason(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_fails_or_is_silent_is_noticed() {
        let start = Instant::now();
        let reason = until_silent(async || {
            if start.elapsed() < Duration::from_secs(10) {
                Ok::<_, String>(())
            } else {
                pending().await
            }
        });
        assert_eq!(reason.await, "silent for 2s");
        assert!(start.elapsed() <= Duration::from_secs(13));
        assert_eq!(until_silent(async || Err("refused")).await, "refused");
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_are_lost_at_once_do_not_make_a_busy_loop() {
        let readiness = Readiness::new(Shutdown::new());
        let attempts = Cell::new(0_u32);
        let connect = async || {
            attempts.set(attempts.get() + 1);
            Ok::<_, String>(())
        };
        let hold = async |()| "closed at once".to_owned();
        let kept = keep(readiness.register("redis"), connect, hold);
        let _ = tokio::time::timeout(Duration::from_secs(60), kept).await;

        assert!(attempts.get() <= 250, "{} attempts", attempts.get());
        assert_eq!(readiness.not_ready_reason().as_deref(), Some("redis: closed at once"));
    }
}
