//! How evenly the requests came.

use serde_json::{Value, json};
use tokio::time::Instant;

/// Returns the figures of a run whose requests should have come at a rate.
///
/// The jitter of an arrival is its distance from its place in an even row at that rate. The row is
/// placed so that half of the arrivals come before their place, and half after.
pub(crate) fn analyze(mut arrivals: Vec<Instant>, rate: f64) -> Value {
    arrivals.sort_unstable();
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
        return json!({ "requests": 0 });
    };
    let seconds: Vec<_> = arrivals.iter().map(|at| (*at - *first).as_secs_f64()).collect();
    let duration = (*last - *first).as_secs_f64();
    let jitter = jitter_ms(&seconds, rate);
    let quantile = |quantile: f64| jitter[((jitter.len() - 1) as f64 * quantile) as usize];
    json!({
        "requests": arrivals.len(),
        "seconds": duration,
        "per_second": (arrivals.len() - 1) as f64 / duration,
        "jitter_ms": { "p50": quantile(0.5), "p99": quantile(0.99), "max": quantile(1.0) },
        "most_in_1_ms": most_within(&seconds, 0.001),
        "most_in_100_ms": most_within(&seconds, 0.1),
    })
}

/// The jitter of each arrival in milliseconds, sorted.
fn jitter_ms(seconds: &[f64], rate: f64) -> Vec<f64> {
    let mut offsets: Vec<_> =
        seconds.iter().enumerate().map(|(index, at)| at - index as f64 / rate).collect();
    offsets.sort_unstable_by(f64::total_cmp);
    let median = offsets[offsets.len() / 2];
    let mut jitter: Vec<_> =
        offsets.iter().map(|offset| (offset - median).abs() * 1000.0).collect();
    jitter.sort_unstable_by(f64::total_cmp);
    jitter
}

/// The largest number of arrivals within so many seconds.
fn most_within(seconds: &[f64], width: f64) -> usize {
    let ends = seconds.iter().map(|at| seconds.partition_point(|other| *other < at + width));
    ends.enumerate().map(|(start, end)| end - start).max().unwrap_or(0)
}
