//! Observes averages: what `QUERY` and `CLUSTERS_QUERY` return.

use std::time::Duration;

use policy::{ClusterTraffic, Observation};

use super::{
    Prometheus, Unknown,
    answer::{self, Vector},
};
use crate::{labels::class, promql::range_selectors, source::ObservedTraffic};

/// The query for the time of the newest sample that `QUERY` reads; `None` if it has no selector with a
/// range.
pub(super) fn newest_query(query: &str) -> Option<String> {
    range_selectors(query).first().map(|selector| format!("max(timestamp({}))", selector.selector))
}

impl Prometheus {
    pub(super) async fn observe_averages(&self) -> ObservedTraffic {
        let (rate, newest, clusters) =
            tokio::join!(self.rate(), self.newest_sample(), self.clusters());
        let (clusters, unknown_clusters) = match clusters {
            None => (None, None),
            Some(Ok(clusters)) => (Some(clusters), None),
            Some(Err(unknown)) => (None, Some(unknown)),
        };
        let observation = match (rate, newest) {
            (Err(unknown), _) => Err(unknown),
            // Prometheus marks a series as stale when its target is gone. The series then has no newest
            // sample, but its rate continues for a window.
            (Ok(_), Err(Unknown::Empty)) => Err(Unknown::Ended),
            (Ok(_), Err(unknown)) => Err(unknown),
            (Ok((rate, evaluated_at)), Ok(newest)) => {
                let at = newest.unwrap_or(evaluated_at).max(0.0);
                let at = Duration::try_from_secs_f64(at).unwrap_or_default();
                let window = self.settings.window();
                Ok(Observation::Averages { at, window, rate, clusters })
            }
        };
        ObservedTraffic::of_prometheus(observation, unknown_clusters)
    }

    /// The rate, and the time of its evaluation in seconds since 1970.
    async fn rate(&self) -> Result<(f64, f64), Unknown> {
        let vector = self.ask(&self.settings.query).await?;
        Ok((vector.rate()?, vector.evaluated_at()?))
    }

    /// The time of the newest sample, in seconds since 1970; `None` if `QUERY` does not show it.
    async fn newest_sample(&self) -> Result<Option<f64>, Unknown> {
        match &self.newest_query {
            None => Ok(None),
            Some(query) => Ok(Some(self.ask(query).await?.rate()?)),
        }
    }

    async fn clusters(&self) -> Option<Result<ClusterTraffic, Unknown>> {
        if self.settings.clusters_query.is_empty() {
            return None;
        }
        let vector = self.ask(&self.settings.clusters_query).await;
        Some(vector.and_then(|vector| self.by_cluster(&vector)))
    }

    /// Adds up the requests by cluster.
    fn by_cluster(&self, vector: &Vector) -> Result<ClusterTraffic, Unknown> {
        let mut clusters = ClusterTraffic::default();
        for (labels, rate) in vector.series() {
            clusters.add(class(labels, &self.settings), answer::rate(rate)?);
        }
        Ok(clusters)
    }
}
