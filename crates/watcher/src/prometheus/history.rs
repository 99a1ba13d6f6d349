//! Reads what Prometheus has kept of the load, in pieces that its limits allow.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use policy::{CountedInterval, CounterSeries, Observation, RequestHistory};

use super::{Prometheus, Unknown, answer::Answer, answer::rate, counters::counters};

/// The first piece. A piece with a small answer doubles the next one.
const FIRST_PIECE: Duration = Duration::from_secs(300);

/// How long the first answer may take. It is small, so a Prometheus that takes longer does not answer at all.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// The shortest piece. If even that is too much, reading fails.
const MIN_PIECE: Duration = Duration::from_secs(60);

/// The longest piece.
const MAX_PIECE: Duration = Duration::from_secs(86_400);

/// An answer with fewer samples is small. The largest answer that is read has some five times as many.
const FEW_SAMPLES: usize = 50_000;

/// How long an answer may take: a little less than the two minutes that Prometheus gives a query.
const ANSWER_WITHIN: Duration = Duration::from_secs(110);

/// The number of further attempts when Prometheus does not answer, from half a second apart.
const ATTEMPTS: usize = 5;

/// The samples before the first piece: so much is needed to know what the counters' first increase is.
const LEAD: Duration = Duration::from_secs(120);

/// So much is taken by the policy at once; its memory is much longer.
const PORTION: Duration = Duration::from_secs(60);

/// The distance of the values of `QUERY`.
const QUERY_STEP: Duration = Duration::from_secs(15);

/// Reads the load of a time in the past, from the oldest to the newest.
pub(crate) struct HistoryReader {
    prometheus: Prometheus,
    /// Until when it has read.
    read_until: Duration,
    until: Duration,
    piece: Duration,
    /// The longest piece that Prometheus does not refuse, as far as is known.
    longest_piece: Duration,
    requests: RequestHistory,
    /// Intervals that begin earlier were taken, or are not asked for.
    taken_until: Duration,
    has_answered: bool,
}

impl HistoryReader {
    /// Reads from `from` to `until`, in whole seconds since 1970.
    pub(crate) fn new(prometheus: Prometheus, from: Duration, until: Duration) -> Self {
        let lead = if prometheus.settings.has_query() { Duration::ZERO } else { LEAD };
        Self {
            read_until: from.saturating_sub(lead),
            until,
            piece: FIRST_PIECE,
            longest_piece: MAX_PIECE,
            requests: RequestHistory::new(None, Duration::ZERO),
            taken_until: from,
            has_answered: false,
            prometheus,
        }
    }

    /// Until when it has read, since 1970.
    pub(crate) fn read_until(&self) -> Duration {
        self.read_until
    }

    /// The distance of the samples; `None` while it is unknown.
    pub(crate) fn scrape_interval(&self) -> Option<Duration> {
        self.requests.scrape_interval()
    }

    /// Reads the next piece; `None` at the end. Where Prometheus knows nothing, there is no interval.
    ///
    /// # Errors
    /// When Prometheus does not answer the first query, or has not answered a later one after some attempts, or refuses
    /// even a short piece.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<CountedInterval>>, Unknown> {
        while self.read_until < self.until {
            let to = (self.read_until + self.piece).min(self.until);
            match self.read(to).await {
                Ok((intervals, samples)) => {
                    self.read_until = to;
                    if samples < FEW_SAMPLES {
                        self.piece = (self.piece * 2).min(self.longest_piece);
                    }
                    return Ok(Some(intervals));
                }
                Err(Unknown::Timeout(limit)) if !self.has_answered => {
                    return Err(Unknown::Unreachable(format!("no answer within {limit:?}")));
                }
                Err(unknown) if is_too_much(&unknown) && MIN_PIECE < self.piece => {
                    self.piece = (self.piece / 2).max(MIN_PIECE);
                    // A slow answer may be quick the next time.
                    if !matches!(unknown, Unknown::Timeout(_)) {
                        self.longest_piece = self.piece;
                    }
                }
                Err(unknown) => return Err(unknown),
            }
        }
        Ok(None)
    }

    /// Reads up to `to`; returns the intervals, and the number of samples behind them.
    async fn read(&mut self, to: Duration) -> Result<(Vec<CountedInterval>, usize), Unknown> {
        let (from, prometheus) = (self.read_until, &self.prometheus);
        // Before the first answer the URL may be wrong, and nothing is lost.
        let (attempts, limit) = match self.has_answered {
            true => (ATTEMPTS, ANSWER_WITHIN),
            false => (0, FIRST_ANSWER_WITHIN),
        };
        let ask = async || {
            if prometheus.settings.has_query() {
                prometheus.averages_between((from, to), limit).await
            } else {
                prometheus.counters_between((from, to), limit).await
            }
        };
        let patient = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_times(attempts)
            .with_jitter();
        let portions = ask.retry(patient).when(is_passing).await?;
        self.has_answered = true;
        let (mut intervals, mut samples) = (Vec::new(), 0);
        for (now, portion) in portions {
            samples += size(&portion);
            self.requests.observe(now, &portion);
            for interval in self.requests.intervals_from(self.taken_until) {
                self.taken_until = interval.to;
                intervals.push(interval);
            }
        }
        Ok((intervals, samples))
    }
}

/// What was observed at one time after the other.
type Portions = Vec<(Duration, Observation)>;

impl Prometheus {
    /// The counters of a time in the past.
    async fn counters_between(
        &self,
        (from, to): (Duration, Duration),
        limit: Duration,
    ) -> Result<Portions, Unknown> {
        let range = to.saturating_sub(from).as_secs();
        let query = format!("{}[{range}s]", self.settings.series);
        let at = seconds(to);
        let parameters = [("query", query.as_str()), ("time", at.as_str())];
        let body = self.connection.get("query", &parameters, limit).await?;
        let series = counters(&Answer::parse(&body)?.samples()?, &self.settings);
        let mut portions = Vec::new();
        let mut start = from;
        while start < to {
            let end = (start + PORTION).min(to);
            let portion = series.iter().filter_map(|series| between(series, start, end));
            portions.push((end, Observation::Counters(portion.collect())));
            start = end;
        }
        Ok(portions)
    }

    /// The values of `QUERY` of a time in the past. Each counts for the time since the one before.
    async fn averages_between(
        &self,
        (from, to): (Duration, Duration),
        limit: Duration,
    ) -> Result<Portions, Unknown> {
        if to < from + QUERY_STEP {
            return Ok(Vec::new());
        }
        let [start, end, step] = [from + QUERY_STEP, to, QUERY_STEP].map(seconds);
        let parameters = [
            ("query", self.settings.query.as_str()),
            ("start", start.as_str()),
            ("end", end.as_str()),
            ("step", step.as_str()),
        ];
        let body = self.connection.get("query_range", &parameters, limit).await?;
        let series = Answer::parse(&body)?.samples()?;
        let values = match series.as_slice() {
            [] => &[][..],
            [series] => &series.values,
            many => return Err(Unknown::ManySeries(many.len())),
        };
        let average = |(at, value): &(f64, String)| {
            let at = Duration::try_from_secs_f64(*at).ok()?;
            // A value that is no rate is a gap, as it is for the watcher.
            let rate = rate(value).ok()?;
            let observed = Observation::Averages { at, window: QUERY_STEP, rate, clusters: None };
            Some((at, observed))
        };
        Ok(values.iter().filter_map(average).collect())
    }
}

/// The part of a series after `start`, up to `end`; `None` if it has no sample there.
fn between(series: &CounterSeries, start: Duration, end: Duration) -> Option<CounterSeries> {
    let index = |time: Duration| series.samples.partition_point(|(at, _)| *at <= time);
    let samples = series.samples[index(start)..index(end)].to_vec();
    (!samples.is_empty()).then_some(CounterSeries { samples, ..*series })
}

fn size(observation: &Observation) -> usize {
    match observation {
        Observation::Counters(series) => series.iter().map(|series| series.samples.len()).sum(),
        _ => 1,
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// Whether the server may answer later.
fn is_passing(unknown: &Unknown) -> bool {
    match unknown {
        Unknown::Unreachable(_) | Unknown::Partial(_) => true,
        Unknown::Http { status, .. } => *status == 429 || *status >= 500,
        _ => false,
    }
}

/// Whether the server may answer for a shorter time. It answers 400 to a range with too many steps.
fn is_too_much(unknown: &Unknown) -> bool {
    unknown.is_too_much() || matches!(unknown, Unknown::Http { status: 400, .. })
}
