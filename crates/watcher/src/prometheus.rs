//! Observes the traffic by asking Prometheus. A missing or malformed answer is never taken for a rate.

mod answer;
mod averages;
mod check;
mod connection;
mod counters;
mod files;
mod finding;
mod history;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use policy::Observation;

use crate::{config::QuerySettings, source::ObservedTraffic};
use answer::{Answer, SampledSeries, Vector};
pub(crate) use connection::Connection;
use connection::MAX_ANSWER;
use counters::{counters, have_common_caller, named_caller};
pub(crate) use finding::Finding;
pub(crate) use history::HistoryReader;

/// How far the time of an answer may be from our clock. Beyond that, the answer is old or a clock is wrong.
const MAX_SKEW: Duration = Duration::from_secs(60);

/// How far back the first answer reaches.
const FIRST_RANGE: &str = "10m";

/// A target without a sample for so many of its scrapes has ended.
const ENDED_AFTER_SCRAPES: f64 = 2.5;

/// How far back each further answer reaches: two scrapes of the slowest usual interval.
const NEXT_RANGE: &str = "2m";

/// A client of one Prometheus, with the queries of one watcher.
#[derive(Clone)]
pub(crate) struct Prometheus {
    connection: Arc<Connection>,
    settings: QuerySettings,
    /// How long an answer may take.
    timeout: Duration,
    /// With `QUERY`, the query for the time of the newest sample; `None` if `QUERY` has no selector.
    newest_query: Option<String>,
}

/// What the watcher has seen of the counters before.
#[derive(Debug, Default)]
pub(crate) struct SeenCounters {
    /// The time of the newest sample of all; `None` before the first.
    newest: Option<Duration>,
    /// The callers that counted until then; empty if one of them has no name.
    callers: HashSet<u64>,
    /// Whether `UP_SERIES` has shown one of the callers that count. Otherwise it selects others, and
    /// proves nothing.
    is_up_theirs: bool,
    /// Whether Prometheus could not answer for as long as the first answer should reach back.
    is_long_too_much: bool,
}

/// Why a value is unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("Prometheus cannot be reached: {0}")]
    Unreachable(String),
    #[error("Prometheus did not answer within {0:?}; a longer INTERVAL gives it more time")]
    Timeout(Duration),
    #[error("Prometheus answered {status}{reason}")]
    Http { status: u16, reason: String },
    #[error(
        "Prometheus answered with more than {MAX_ANSWER} bytes; a narrower SERIES, or QUERY, asks for less"
    )]
    TooLarge,
    #[error("the answer of Prometheus is not JSON: {0}")]
    NotJson(String),
    #[error("Prometheus reports an error: {0}")]
    StatusError(String),
    #[error("the answer of Prometheus is malformed: {0}")]
    Malformed(String),
    #[error("the answer of Prometheus is not complete: {0}")]
    Partial(String),
    #[error(
        "the query matches no series: there is no traffic yet, or Prometheus does not scrape the callers"
    )]
    Empty,
    #[error("the query matches {0} series instead of one; put sum() around it")]
    ManySeries(usize),
    #[error("the query's value is not a number")]
    NotANumber,
    #[error("the query's value is infinite")]
    Infinite,
    #[error("the query's value is negative, so it is not a rate")]
    Negative,
    #[error("the series have ended: Prometheus no longer scrapes the callers")]
    Ended,
    #[error("no caller can be read: {0}")]
    NoCaller(String),
    #[error("the time of the answer is more than {MAX_SKEW:?} away from this machine's clock")]
    WrongClock,
}

impl Unknown {
    /// Whether the server may answer for a shorter time. Prometheus answers 422 to a query that would load too many
    /// samples, and 503 to one that takes too long.
    fn is_too_much(&self) -> bool {
        match self {
            Self::TooLarge | Self::Timeout(_) => true,
            Self::Http { status, .. } => [413, 422, 503, 504].contains(status),
            _ => false,
        }
    }

    /// The kind, as metrics name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout(_) => "timeout",
            Self::Http { .. } => "http",
            Self::TooLarge => "too_large",
            Self::NotJson(_) => "not_json",
            Self::StatusError(_) => "status_error",
            Self::Malformed(_) => "malformed",
            Self::Partial(_) => "partial",
            Self::Empty => "empty",
            Self::ManySeries(_) => "many_series",
            Self::NotANumber => "nan",
            Self::Infinite => "infinite",
            Self::Negative => "negative",
            Self::Ended => "ended",
            Self::NoCaller(_) => "no_caller",
            Self::WrongClock => "wrong_clock",
        }
    }
}

impl Prometheus {
    /// A client of a server that must answer within `timeout`.
    pub(crate) fn new(
        connection: Arc<Connection>,
        settings: QuerySettings,
        timeout: Duration,
    ) -> Self {
        let newest_query = averages::newest_query(&settings.query);
        Self { connection, settings, timeout, newest_query }
    }

    /// Observes the traffic once.
    pub(crate) async fn observe(&self, seen: &mut SeenCounters) -> ObservedTraffic {
        if self.settings.has_query() {
            return self.observe_averages().await;
        }
        let is_first = seen.newest.is_none() && !seen.is_long_too_much;
        let range = if is_first { FIRST_RANGE } else { NEXT_RANGE };
        let query = format!("{}[{range}]", self.settings.series);
        // Callers that counted before the watcher began may be gone since.
        let is_proof_missing = !seen.callers.is_empty() && !seen.is_up_theirs;
        let is_long = is_proof_missing && !seen.is_long_too_much;
        let up_range = if is_long { FIRST_RANGE } else { NEXT_RANGE };
        let (series, up) = tokio::join!(self.samples(&query), self.up_samples(up_range));
        if seen.newest.is_none() && series.as_ref().is_err_and(Unknown::is_too_much) {
            // By turns, because Prometheus may only be slow for a while.
            seen.is_long_too_much = is_first;
        }
        let observation = series.map(|series| {
            let counters = counters(&series, &self.settings);
            let newest =
                counters.iter().filter_map(|series| series.samples.last()).map(|(at, _)| *at);
            let newest = newest.max();
            let is_news = seen.newest < newest;
            if is_news {
                let callers: Option<_> = series.iter().map(named_caller).collect();
                (seen.newest, seen.callers) = (newest, callers.unwrap_or_default());
            }
            seen.is_up_theirs = seen.is_up_theirs || have_common_caller(&up, &seen.callers);
            if is_news {
                return Observation::Counters(counters);
            }
            match zero_until(&up, seen) {
                None if !counters.is_empty() => Observation::Counters(counters),
                zero_until => Observation::NoCounters { zero_until },
            }
        });
        ObservedTraffic::of_prometheus(observation, None)
    }

    /// The samples of `up`; none if they are not asked for, or unknown.
    async fn up_samples(&self, range: &str) -> Vec<SampledSeries> {
        if self.settings.up_series.is_empty() {
            return Vec::new();
        }
        let query = format!("{}[{range}]", self.settings.up_series);
        self.samples(&query).await.unwrap_or_default()
    }

    async fn samples(&self, query: &str) -> Result<Vec<SampledSeries>, Unknown> {
        Answer::parse(&self.get(query).await?)?.samples()
    }

    async fn get(&self, query: &str) -> Result<Vec<u8>, Unknown> {
        self.connection.get("query", &[("query", query)], self.timeout).await
    }

    /// The value of a query that returns one series.
    pub(crate) async fn value(&self, query: &str) -> Result<f64, Unknown> {
        self.ask(query).await?.rate()
    }

    async fn ask(&self, query: &str) -> Result<Vector, Unknown> {
        let body = self.get(query).await?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Answer::parse(&body)?.vector(since_epoch)
    }
}

/// Until when there were no requests: Prometheus scrapes callers, and none of those that counted until
/// now. Then others have replaced them, and have counted nothing by their newest scrape.
fn zero_until(up: &[SampledSeries], seen: &SeenCounters) -> Option<Duration> {
    let newest = up.iter().filter_map(|series| series.values.last()).map(|(at, _)| *at);
    let newest = newest.fold(0.0, f64::max);
    // A target that ended is no caller any more. Nobody knows that of one whose next scrape may not be due.
    let is_present = |series: &&SampledSeries| match series.values[..] {
        [.., (before, _), (last, _)] => {
            let scrapes = (last - before) * ENDED_AFTER_SCRAPES;
            newest - last <= scrapes.max(MAX_SKEW.as_secs_f64() / 2.0)
        }
        [_] => true,
        [] => false,
    };
    let present: Vec<_> = up.iter().filter(is_present).collect();
    let is_old = |series: &SampledSeries| {
        named_caller(series).is_none_or(|caller| seen.callers.contains(&caller))
    };
    if seen.callers.is_empty() || !seen.is_up_theirs || present.iter().any(|series| is_old(series))
    {
        return None;
    }
    let scraped = present.iter().filter_map(|series| series.values.last());
    let scraped = scraped.filter(|(_, value)| value.parse() == Ok(1.0_f64)).map(|(at, _)| *at);
    let until = scraped.reduce(f64::min)?;
    Duration::try_from_secs_f64(until).ok().filter(|until| seen.newest < Some(*until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_whose_next_scrape_is_not_due_has_not_ended() {
        let up = |instance: &str, times: [u32; 2]| SampledSeries {
            metric: [("instance".to_owned(), instance.to_owned())].into(),
            values: times.map(|at| (f64::from(at), "1".to_owned())).to_vec(),
        };
        let zero_until = |old: &SampledSeries, new: [u32; 2]| {
            let seen = SeenCounters {
                newest: Some(Duration::from_secs(120)),
                callers: named_caller(old).into_iter().collect(),
                is_up_theirs: true,
                ..SeenCounters::default()
            };
            zero_until(&[old.clone(), up("new", new)], &seen)
        };
        assert_eq!(zero_until(&up("old", [60, 120]), [105, 165]), None, "a scrape a minute");
        let mut one_sample = up("old", [60, 120]);
        one_sample.values.remove(0);
        assert_eq!(zero_until(&one_sample, [105, 165]), None, "who knows when the next is due");
        let ended = zero_until(&up("old", [115, 120]), [150, 155]);
        assert_eq!(ended, Some(Duration::from_secs(155)), "a scrape every five seconds");
    }
}
