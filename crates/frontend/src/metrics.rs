//! The tally, as Prometheus reads it.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use contract::{Ledger, Results};

use crate::{
    control::Control,
    load::{SharedTally, latency::Buckets},
};

/// Reads the tally and the control whenever it is asked.
pub(crate) struct Metrics {
    pub(crate) tally: SharedTally,
    pub(crate) control: Control,
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
        self.gauges(&mut encoder, &ledger)?;
        requests(&mut encoder, &ledger)?;
        seen(&mut encoder, &results)?;
        histograms(
            &mut encoder,
            "send_lateness",
            "From when a request was due to when it was sent",
            [([], lateness)],
        )?;
        histograms(
            &mut encoder,
            "answer_latency",
            "To the answer, from when a request was due (corrected) or sent (service), and from its sending to \
             the arrival of its result on Redis (trip)",
            answers.iter().map(|(kind, prefix, buckets)| {
                ([("kind", *kind), ("prefix", prefix.as_str())], *buckets)
            }),
        )
    }
}

impl Metrics {
    fn gauges(&self, encoder: &mut DescriptorEncoder<'_>, ledger: &Ledger) -> fmt::Result {
        let gauges = [
            (
                "asked_rate",
                "The rate in force, in requests per second",
                self.control.rate().per_second(),
            ),
            ("viewers", "Browsers that are watching", self.control.viewers() as f64),
            ("requests_in_flight", "Requests that wait for their answer", ledger.in_flight as f64),
        ];
        for (name, help, value) in gauges {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(gauge)?;
        }
        Ok(())
    }
}

fn requests(encoder: &mut DescriptorEncoder<'_>, ledger: &Ledger) -> fmt::Result {
    let failed = ledger.failed;
    let slots = [("sent", ledger.sent), ("missed", ledger.missed), ("shed", ledger.shed)];
    counters(encoder, "slots", "Slots of the schedule, by outcome", "outcome", slots)?;
    let requests = [
        ("answered", ledger.answered),
        ("connect", failed.connect),
        ("timeout", failed.timeout),
        ("reset", failed.reset),
        ("unavailable", failed.unavailable),
        ("server_error", failed.server_error),
        ("refused", failed.refused),
    ];
    counters(encoder, "requests", "Requests that have ended, by result", "result", requests)
}

fn seen(encoder: &mut DescriptorEncoder<'_>, results: &Results) -> fmt::Result {
    let by_prefix = results.by_prefix.iter().map(|(prefix, count)| (prefix.as_str(), *count));
    counters(encoder, "results", "Calculations seen on Redis, by prefix", "prefix", by_prefix)?;
    let trips = results.trips;
    let lost = [
        ("unshown", results.unshown),
        ("dropped", results.dropped),
        ("lost", trips.lost),
        ("doubled", trips.doubled),
        ("foreign", trips.foreign),
    ];
    counters(encoder, "results_lost", "Calculations left out, by reason", "reason", lost)
}

fn counters<'a>(
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

fn histograms<'a, const LABELS: usize>(
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
