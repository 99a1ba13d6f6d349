//! Observes what the clusters can carry: primary so much for each ready endpoint of a Service, or the value of
//! a query; and whether burst is ready.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::{Api, api::ListParams};
use policy::{BurstSettings, CapacitySettings};
use reqwest::Client;
use tokio::time::timeout;

use crate::{
    api_server::ApiServer,
    http_clients::{Clients, root_cause},
    prometheus::{Prometheus, Unknown},
    route::Error,
};

/// The time between two lists of endpoints, and between two looks at burst. Neither is a rate, so they need
/// no sample a second.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The largest number of slices that are read. Kubernetes puts up to 100 endpoints in each.
const MAX_SLICES: u32 = 500;

/// Where the clusters are observed, beside their traffic.
pub(crate) struct ClusterSources {
    pub(crate) capacity: CapacitySource,
    pub(crate) burst_readiness: BurstReadinessSource,
}

impl ClusterSources {
    /// The sources of the settings, each of which must answer within `limit`.
    ///
    /// # Errors
    /// When there is no client for a URL.
    pub(crate) fn new(
        settings: &policy::Settings,
        server: ApiServer,
        namespace: &str,
        prometheus: Arc<Prometheus>,
        clients: &Clients,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let burst_readiness =
            BurstReadinessSource::new(&settings.burst, Arc::clone(&prometheus), clients, limit)?;
        let capacity =
            CapacitySource::new(&settings.capacity, server, namespace, prometheus, limit);
        Ok(Self { capacity, burst_readiness })
    }
}

/// Where the capacity of primary is observed.
pub(crate) struct CapacitySource {
    of: Of,
    /// When the endpoints were listed last.
    listed_at: Option<Duration>,
    timeout: Duration,
}

enum Of {
    /// A number, which needs no observation.
    Number,
    Service {
        server: ApiServer,
        namespace: String,
        name: String,
        each: f64,
    },
    Query {
        prometheus: Arc<Prometheus>,
        query: String,
    },
}

impl CapacitySource {
    fn new(
        settings: &CapacitySettings,
        server: ApiServer,
        namespace: &str,
        prometheus: Arc<Prometheus>,
        timeout: Duration,
    ) -> Self {
        let of = match (&settings.capacity_service, &settings.capacity_query) {
            (Some(name), _) => Of::Service {
                server,
                namespace: namespace.to_owned(),
                name: name.clone(),
                each: settings.capacity,
            },
            (None, Some(query)) => Of::Query { prometheus, query: query.clone() },
            (None, None) => Of::Number,
        };
        Self { of, listed_at: None, timeout }
    }

    /// Observes the capacity once, in requests per second, or says why it is unknown; `None` if there is
    /// nothing to observe now.
    pub(crate) async fn observe(&mut self, now: Duration) -> Option<Result<f64, String>> {
        match &self.of {
            Of::Number => None,
            Of::Query { prometheus, query } => {
                let value = prometheus.value(query).await;
                let value = value.map_err(|error| error.to_string()).and_then(above_zero);
                Some(value.map_err(|problem| format!("CAPACITY_QUERY: {problem}")))
            }
            Of::Service { .. } if self.listed_at.is_some_and(|at| now < at + LOOK_EVERY) => None,
            Of::Service { server, namespace, name, each } => {
                self.listed_at = Some(now);
                let slices = list(server, namespace, name);
                let slices = match timeout(self.timeout, slices).await {
                    Ok(result) => result.map_err(|error| error.to_string()),
                    Err(_) => {
                        Err(format!("the API server did not answer within {:?}", self.timeout))
                    }
                };
                let count = slices.and_then(|slices| match ready_endpoints(&slices) {
                    0 => Err("no endpoint is ready".to_owned()),
                    count => Ok(count as f64 * each),
                });
                Some(count.map_err(|error| format!("endpoints of the Service {name}: {error}")))
            }
        }
    }
}

/// A capacity, or what is wrong with it: a query of pods shows 0 where it sees none.
fn above_zero(capacity: f64) -> Result<f64, String> {
    if 0.0 < capacity {
        return Ok(capacity);
    }
    Err(format!("its value {capacity} is not accepted; accepted: above 0"))
}

/// Where the readiness of burst is observed.
pub(crate) struct BurstReadinessSource {
    by: ReadyBy,
    /// When burst was looked at last.
    looked_at: Option<Duration>,
}

enum ReadyBy {
    /// Nobody asks for it.
    Nothing,
    Query {
        prometheus: Arc<Prometheus>,
        query: String,
    },
    Url {
        client: Client,
        url: String,
        limit: Duration,
    },
}

impl BurstReadinessSource {
    fn new(
        settings: &BurstSettings,
        prometheus: Arc<Prometheus>,
        clients: &Clients,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let by = match (&settings.burst_ready_query, &settings.burst_ready_url) {
            (Some(query), _) => ReadyBy::Query { prometheus, query: query.clone() },
            (None, Some(url)) => {
                let client = clients.of("BURST_READY_URL", url)?;
                ReadyBy::Url { client, url: url.clone(), limit }
            }
            (None, None) => ReadyBy::Nothing,
        };
        Ok(Self { by, looked_at: None })
    }

    /// Observes once whether burst is ready, or says why that is unknown; `None` if there is nothing to
    /// observe now.
    pub(crate) async fn observe(&mut self, now: Duration) -> Option<Result<bool, String>> {
        if self.looked_at.is_some_and(|at| now < at + LOOK_EVERY) {
            return None;
        }
        self.looked_at = Some(now);
        match &self.by {
            ReadyBy::Nothing => None,
            ReadyBy::Query { prometheus, query } => Some(match prometheus.value(query).await {
                Ok(value) => Ok(value != 0.0),
                // A comparison that does not hold returns no series.
                Err(Unknown::Empty) => Ok(false),
                Err(error) => Err(format!("BURST_READY_QUERY: {error}")),
            }),
            ReadyBy::Url { client, url, limit } => {
                let response = client.get(url).timeout(*limit).send().await;
                Some(match response {
                    Ok(response) => Ok(response.status().is_success()),
                    Err(error) => {
                        let cause = root_cause(&error.without_url());
                        Err(format!("BURST_READY_URL: {cause}"))
                    }
                })
            }
        }
    }
}

async fn list(
    server: &ApiServer,
    namespace: &str,
    name: &str,
) -> Result<Vec<EndpointSlice>, Error> {
    let client = server.client().map_err(Error::Unreachable)?;
    let api = Api::<EndpointSlice>::namespaced(client, namespace);
    // The server answers from its memory.
    let parameters = ListParams::default()
        .labels(&format!("kubernetes.io/service-name={name}"))
        .limit(MAX_SLICES)
        .match_any();
    Ok(api.list(&parameters).await?.items)
}

/// Counts the endpoints that are ready. A Service of two address families lists each endpoint twice.
fn ready_endpoints(slices: &[EndpointSlice]) -> usize {
    let mut by_family = BTreeMap::<&str, BTreeSet<&str>>::new();
    let is_ready = |endpoint: &&Endpoint| {
        // An unknown readiness counts as ready, as Kubernetes says.
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false)
    };
    for slice in slices {
        let addresses = slice.endpoints.iter().filter(is_ready);
        let addresses = addresses.filter_map(|endpoint| endpoint.addresses.first());
        by_family.entry(&slice.address_type).or_default().extend(addresses.map(String::as_str));
    }
    by_family.values().map(BTreeSet::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::discovery::v1::EndpointConditions;

    use super::*;

    fn slice(family: &str, endpoints: &[(&str, Option<bool>)]) -> EndpointSlice {
        let endpoint = |(address, ready): &(&str, Option<bool>)| Endpoint {
            addresses: vec![(*address).to_owned()],
            conditions: Some(EndpointConditions { ready: *ready, ..EndpointConditions::default() }),
            ..Endpoint::default()
        };
        EndpointSlice {
            address_type: family.to_owned(),
            endpoints: endpoints.iter().map(endpoint).collect(),
            ..EndpointSlice::default()
        }
    }

    #[test]
    fn each_ready_endpoint_counts_once() {
        let ready = Some(true);
        let ipv4 =
            slice("IPv4", &[("10.0.0.1", ready), ("10.0.0.2", Some(false)), ("10.0.0.3", None)]);
        let more = slice("IPv4", &[("10.0.0.3", ready), ("10.0.0.4", ready)]);
        let ipv6 = slice("IPv6", &[("fd00::1", ready), ("fd00::3", ready)]);
        assert_eq!(ready_endpoints(&[ipv4, more, ipv6]), 3);
        assert_eq!(ready_endpoints(&[]), 0);
    }
}
