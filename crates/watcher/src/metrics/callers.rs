//! The metrics of `SOURCE=callers`.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Results, count};
use crate::{callers::ObservedCallers, config::SourceKind, source::ObservedTraffic};

/// How many callers there are, and what their reads brought.
#[derive(Clone, Default)]
pub(super) struct CallerMetrics {
    callers: Family<StateLabels, Gauge>,
    reads: Results,
    source: Family<SourceLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SourceLabels {
    source: &'static str,
}

impl CallerMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let source = "Where the watcher sees the traffic: 1 for the present source";
        registry.register("source", source, self.source.clone());
        let callers = "With SOURCE=callers: the callers, by whether they answer";
        registry.register("callers", callers, self.callers.clone());
        let reads = "With SOURCE=callers: reads of one caller, by result";
        registry.register("caller_reads", reads, self.reads.clone());
    }

    pub(super) fn record(&self, traffic: &ObservedTraffic) {
        for source in [SourceKind::Prometheus, SourceKind::Callers] {
            let labels = SourceLabels { source: source.name() };
            self.source.get_or_create(&labels).set((source == traffic.source).into());
        }
        let Some(ObservedCallers { answering, silent, .. }) = &traffic.callers else { return };
        for (state, number) in [("answering", *answering), ("silent", silent.len())] {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            self.callers.get_or_create(&StateLabels { state }).set(number);
        }
        (0..*answering).for_each(|_| count(&self.reads, "ok"));
        silent.iter().for_each(|silent| count(&self.reads, silent.error.kind()));
    }
}
