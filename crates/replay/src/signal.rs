//! How a rule sees the load: how often the counters are sampled.

use std::{fmt, str::FromStr, time::Duration};

use contract::Cluster;
use policy::{CounterSeries, RequestClass};

/// Where the load is seen, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The callers' own counters, once a second.
    Callers,
    /// Prometheus, which samples once in so many seconds.
    Prometheus(u32),
}

/// What is accepted as a signal.
const ACCEPTED: &str =
    "accepted: callers, or prometheus@SECONDSs with 1s to 300s, such as prometheus@5s";

impl Signal {
    /// The seconds between two samples.
    #[must_use]
    pub const fn every(self) -> u32 {
        match self {
            Self::Callers => 1,
            Self::Prometheus(seconds) => seconds,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callers => f.write_str("callers"),
            Self::Prometheus(seconds) => write!(f, "prometheus@{seconds}s"),
        }
    }
}

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "callers" {
            return Ok(Self::Callers);
        }
        let seconds = text.strip_prefix("prometheus@").and_then(|rest| rest.strip_suffix('s'));
        let seconds = seconds.and_then(|text| text.parse().ok());
        seconds
            .filter(|seconds| (1..=300).contains(seconds))
            .map(Self::Prometheus)
            .ok_or_else(|| ACCEPTED.to_owned())
    }
}

/// The counters of the requests to both clusters, as one caller has them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    counts: [f64; 2],
}

impl Counters {
    /// Counts the requests to primary and to burst.
    pub(crate) fn count(&mut self, requests: [f64; 2]) {
        for (count, requests) in self.counts.iter_mut().zip(requests) {
            *count += requests;
        }
    }

    /// All requests so far.
    pub(crate) fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// The samples of this moment. A counter exists from its first request on.
    pub(crate) fn sample(&self, at: Duration) -> Vec<CounterSeries> {
        let counted = Cluster::ALL.into_iter().zip(self.counts).filter(|(_, count)| 0.0 < *count);
        let series = counted.map(|(cluster, count)| CounterSeries {
            series: cluster as u64,
            caller: 1,
            class: RequestClass { cluster: Some(cluster), is_failure: false },
            samples: vec![(at, count)],
        });
        series.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_and_a_distance() {
        for text in ["callers", "prometheus@1s", "prometheus@15s"] {
            assert_eq!(text.parse::<Signal>().unwrap().to_string(), text);
        }
        for text in ["", "prometheus", "prometheus@0s", "prometheus@5", "prometheus@301s", "proxy"]
        {
            assert!(text.parse::<Signal>().unwrap_err().starts_with("accepted: callers"), "{text}");
        }
    }
}
