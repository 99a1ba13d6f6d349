//! The metrics for Prometheus.

use std::fmt;

use chassis::probes;
use contract::{Ledger, Results};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use crate::{
    control::Control,
    load::{SharedTally, latency::Buckets},
    origins::AllowedOrigins,
    rate_requests::RateRequests,
    viewers::Viewers,
};

/// Reads the tally, the rate and the viewers at each scrape.
pub(crate) struct Metrics {
    tally: SharedTally,
    control: Control,
    viewers: Viewers,
}

/// Returns the registry of all metrics.
pub(crate) fn registry(
    metrics: Metrics,
    requests: &RateRequests,
    origins: &AllowedOrigins,
) -> Registry {
    let mut registry = probes::registry("frontend", env!("CARGO_PKG_VERSION"));
    registry.register("rate_requests", "Requests for a rate, by result", requests.counts());
    registry.register(
        "refused_origins",
        "Socket.io requests of pages from other sites",
        origins.refused(),
    );
    registry.register_collector(Box::new(metrics));
    registry
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (ledger, results, lateness, answers) = {
            let mut tally = self.tally.lock();
            let results = tally.results(self.tally.now());
            (tally.ledger(), results, tally.lateness(), tally.answers())
        };
        self.encode_gauges(&mut encoder, &ledger)?;
        encode_requests(&mut encoder, &ledger)?;
        encode_results(&mut encoder, &results)?;
        encode_histograms(
            &mut encoder,
            "send_lateness",
            "The time from when a request was due to when it was sent",
            [([], lateness)],
        )?;
        encode_histograms(
            &mut encoder,
            "answer_latency",
            "The time to the answer from when a request was due (corrected) or sent (service), and the time \
             from when it was sent to the arrival of its result on Redis (trip)",
            answers.iter().map(|(kind, prefix, buckets)| {
                ([("kind", *kind), ("prefix", prefix.as_str())], *buckets)
            }),
        )
    }
}

impl Metrics {
    pub(crate) fn new(tally: SharedTally, control: Control, viewers: Viewers) -> Self {
        Self { tally, control, viewers }
    }

    fn encode_gauges(&self, encoder: &mut DescriptorEncoder<'_>, ledger: &Ledger) -> fmt::Result {
        let gauges = [
            (
                "requested_rate",
                "The rate in force, in requests per second",
                self.control.rate().per_second(),
            ),
            ("viewers", "Browsers that watch", self.viewers.count() as f64),
            ("requests_in_flight", "Requests that wait for their answer", ledger.in_flight as f64),
        ];
        for (name, help, value) in gauges {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(gauge)?;
        }
        Ok(())
    }
}

fn encode_requests(encoder: &mut DescriptorEncoder<'_>, ledger: &Ledger) -> fmt::Result {
    let failed = ledger.failed;
    let slots = [("sent", ledger.sent), ("missed", ledger.missed), ("shed", ledger.shed)];
    encode_counters(encoder, "slots", "Scheduled requests, by outcome", "outcome", slots)?;
    let requests = [
        ("answered", ledger.answered),
        ("connect", failed.connect),
        ("timeout", failed.timeout),
        ("reset", failed.reset),
        ("unavailable", failed.unavailable),
        ("server_error", failed.server_error),
        ("refused", failed.refused),
    ];
    encode_counters(encoder, "requests", "Requests that have ended, by result", "result", requests)
}

fn encode_results(encoder: &mut DescriptorEncoder<'_>, results: &Results) -> fmt::Result {
    let by_prefix = results.by_prefix.iter().map(|(prefix, count)| (prefix.as_str(), *count));
    encode_counters(
        encoder,
        "results",
        "Results received from Redis, by prefix",
        "prefix",
        by_prefix,
    )?;
    let trips = results.trips;
    let lost = [
        ("unshown", results.unshown),
        ("dropped", results.dropped),
        ("lost", trips.lost),
        ("doubled", trips.doubled),
        ("foreign", trips.foreign),
    ];
    encode_counters(
        encoder,
        "results_lost",
        "Results that are not shown or not matched, by reason",
        "reason",
        lost,
    )
}

fn encode_counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    counts: impl IntoIterator<Item = (&'a str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in counts {
        ConstCounter::new(count).encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}

fn encode_histograms<'a, const LABELS: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    histograms: impl IntoIterator<Item = ([(&'a str, &'a str); LABELS], Buckets)>,
) -> fmt::Result {
    let seconds = Some(&Unit::Seconds);
    let mut family = encoder.encode_descriptor(name, help, seconds, MetricType::Histogram)?;
    for (labels, buckets) in histograms {
        let (sum, count, counts) = (buckets.sum(), buckets.count(), buckets.counts());
        family
            .encode_family(&labels)?
            .encode_histogram::<[(&str, &str); 0]>(sum, count, &counts, None)?;
    }
    Ok(())
}
