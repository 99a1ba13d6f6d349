//! The known policies, and the task of each.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chassis::{Shutdown, probes::Readiness};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Resource as _, ResourceExt as _,
    api::{ApiResource, DynamicObject},
};
use prometheus_client::registry::Registry;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::{
    conditions::Refusal,
    reporter::Reporter,
    running::{Running, Task, Version},
};
use crate::{
    burst_policy::{BurstPolicy, ValidPolicy},
    config::{RouteKind, SourceKind, WatchSettings},
    metrics::Metrics,
    route::PolicyHandle,
    status::Status,
    watch::{Records, Shared, Watch},
};

/// The largest number of policies that one controller follows. The newest of more are refused.
const MAX_POLICIES: usize = 1_000;

/// The namespace and the name of a policy.
pub(super) type Key = (String, String);

/// What identifies a route.
type RouteKey = (RouteKind, String, String);

/// All policies.
pub(super) struct Policies {
    shared: Shared,
    known: BTreeMap<Key, Known>,
    running: Running,
}

/// A policy as the API server has it.
struct Known {
    object: DynamicObject,
    policy: Result<ValidPolicy, String>,
}

impl Policies {
    pub(super) fn new(shared: Shared, running: Running) -> Self {
        Self { shared, known: BTreeMap::new(), running }
    }

    /// Takes a list of all policies that there are.
    pub(super) fn replace(&mut self, all: Vec<DynamicObject>) {
        self.known = all.into_iter().map(known).collect();
        self.reconcile();
    }

    /// Takes a new or changed policy.
    pub(super) fn apply(&mut self, object: DynamicObject) {
        match self.known.get_mut(&key(&object)) {
            // Most changes are those of its status, which the controller writes itself.
            Some(before) if has_same_spec(&before.object, &object) => before.object = object,
            _ => self.known.extend([known(object)]),
        }
        self.reconcile();
    }

    /// Forgets a policy. Its route keeps its weights.
    pub(super) fn delete(&mut self, key: &Key) {
        self.known.remove(key);
        self.reconcile();
    }

    /// Starts and ends tasks, so that each known policy has one of its present version, which runs.
    pub(super) fn reconcile(&mut self) {
        let (owners, too_many) = (self.owners(), too_many(&self.known, MAX_POLICIES));
        let mut running = self.running.lock();
        running.retain(|key, _| {
            let is_known = self.known.contains_key(key);
            if !is_known {
                tracing::info!(
                    namespace = key.0,
                    policy = key.1,
                    "the policy is gone; its route keeps its weights"
                );
            }
            is_known
        });
        for (key, known) in &self.known {
            let refusal = match &known.policy {
                _ if too_many.contains(key) => Some(Refusal::TooMany(MAX_POLICIES)),
                Err(problem) => Some(Refusal::Invalid(problem.clone())),
                Ok(policy) => match &owners[&route_key(policy)] {
                    owner if *owner == key => None,
                    (_, owner) => Some(Refusal::Conflict(owner.clone())),
                },
            };
            let metadata = &known.object.metadata;
            let (uid, generation) = (metadata.uid.clone(), metadata.generation);
            let version = Version { uid, generation, refusal };
            let annotations = Arc::new(metadata.annotations.clone().unwrap_or_default());
            match running.get(key) {
                Some(task) if task.version == version && !task.must_begin_again() => {
                    task.annotations.send_if_modified(|present| {
                        let is_other = **present != *annotations;
                        *present = annotations;
                        is_other
                    });
                }
                _ => {
                    // The task before ends first.
                    if running.remove(key).is_some_and(|task| task.task.is_finished()) {
                        self.running.panics.inc();
                        tracing::error!(
                            namespace = key.0,
                            policy = key.1,
                            "the task of the policy has panicked, and begins again"
                        );
                    }
                    let task = self.start(key, known, version, annotations);
                    running.insert(key.clone(), task);
                }
            }
        }
    }

    /// The policy that each route follows: the oldest.
    fn owners(&self) -> HashMap<RouteKey, &Key> {
        let mut owners = HashMap::<RouteKey, (&Key, &Known)>::new();
        for (key, known) in &self.known {
            let Ok(policy) = &known.policy else { continue };
            let owner = owners.entry(route_key(policy)).or_insert((key, known));
            if age((key, known)) < age(*owner) {
                *owner = (key, known);
            }
        }
        owners.into_iter().map(|(route, (key, _))| (route, key)).collect()
    }

    fn start(
        &self,
        key: &Key,
        known: &Known,
        version: Version,
        annotations: Arc<BTreeMap<String, String>>,
    ) -> Task {
        let (namespace, name) = key.clone();
        let span = tracing::info_span!("policy", namespace, policy = name);
        let _entered = span.clone().entered();
        let (annotations, receiver) = watch::channel(annotations);
        let labels = [("namespace".into(), namespace.into()), ("policy".into(), name.into())];
        let mut registry = Registry::with_prefix_and_labels("watcher", labels.into_iter());
        let reporter = Reporter::new(&self.shared, &known.object);
        let (status, task) = match (&known.policy, version.refusal.clone()) {
            (Ok(policy), None) => {
                let records = Records {
                    metrics: Arc::new(Metrics::new(&mut registry)),
                    status: Status::new(&policy.watch),
                    // The controller is ready, whatever one of its policies is.
                    readiness: Readiness::new(Shutdown::new()),
                };
                let reference = known.object.object_ref(&ApiResource::erase::<BurstPolicy>(&()));
                let burst_requests = reporter.burst_requests();
                let handle = PolicyHandle { annotations: receiver, reference, burst_requests };
                let (status, shared, policy) =
                    (records.status.clone(), self.shared.clone(), policy.clone());
                let phase = phase(key, &policy.watch);
                let task = tokio::spawn(
                    watch_route(shared, policy, handle, records, reporter, phase).in_current_span(),
                );
                (Some(status), task)
            }
            (_, refusal) => {
                let refusal = refusal.unwrap_or(Refusal::TooMany(MAX_POLICIES));
                tracing::warn!("the policy is refused: {refusal}");
                (None, tokio::spawn(reporter.report_refusal(refusal).in_current_span()))
            }
        };
        Task {
            version,
            annotations,
            registry: Arc::new(registry),
            status,
            started_at: Instant::now(),
            task: AbortOnDropHandle::new(task),
        }
    }
}

/// Watches the route of a policy, and reports.
async fn watch_route(
    shared: Shared,
    policy: ValidPolicy,
    handle: PolicyHandle,
    records: Records,
    reporter: Reporter,
    phase: Duration,
) {
    sleep(phase).await;
    let status = records.status.clone();
    let ValidPolicy { route, watch } = &policy;
    match Watch::new(&shared, route, watch, Some(handle), records) {
        Err(error) => reporter.report_refusal(Refusal::Invalid(format!("{error:#}"))).await,
        Ok(watch) => tokio::select! {
            never = Box::pin(watch.run()) => match never {},
            () = reporter.report(status) => {}
        },
    }
}

/// Spreads the ticks of all policies over the interval. Those of the same callers look at the same time, so
/// that one read serves all.
fn phase(key: &Key, watch: &WatchSettings) -> Duration {
    let signal = &watch.signal.source;
    let is_shared = signal.source == SourceKind::Callers;
    let callers = is_shared.then(|| signal.callers_url.to_string());
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let hash = callers.map_or_else(|| hasher.hash_one(key), |callers| hasher.hash_one(callers));
    let interval = watch.interval.min(Duration::from_secs(1)).as_millis().max(1) as u64;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    // The clock is the same for all policies, whenever each one starts.
    Duration::from_millis((hash % interval + interval - now % interval) % interval)
}

/// The newest policies, beyond so many.
fn too_many(known: &BTreeMap<Key, Known>, most: usize) -> HashSet<&Key> {
    if known.len() <= most {
        return HashSet::new();
    }
    let mut all: Vec<_> = known.iter().collect();
    all.sort_by_cached_key(|entry| age(*entry));
    all.into_iter().skip(most).map(|(key, _)| key).collect()
}

/// What sorts policies from the oldest to the newest.
fn age((key, known): (&Key, &Known)) -> (Option<Time>, Key) {
    (known.object.metadata.creation_timestamp.clone(), key.clone())
}

/// The namespace and the name of an object.
pub(super) fn key(object: &DynamicObject) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn has_same_spec(before: &DynamicObject, after: &DynamicObject) -> bool {
    let version =
        |object: &DynamicObject| (object.metadata.uid.clone(), object.metadata.generation);
    after.metadata.generation.is_some() && version(before) == version(after)
}

fn known(object: DynamicObject) -> (Key, Known) {
    let policy = ValidPolicy::read(&object);
    (key(&object), Known { object, policy })
}

fn route_key(policy: &ValidPolicy) -> RouteKey {
    let route = &policy.route;
    (route.route_kind, route.namespace.clone(), route.route.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_of_too_many_policies_are_refused() {
        let policy = |name: &str, created: &str| {
            let metadata = json!({ "name": name, "creationTimestamp": created });
            known(serde_json::from_value(json!({ "metadata": metadata })).unwrap())
        };
        let policies: BTreeMap<_, _> = [
            policy("a", "2026-11-03T00:00:00Z"),
            policy("b", "2026-11-01T00:00:00Z"),
            policy("c", "2026-11-02T00:00:00Z"),
        ]
        .into();
        assert_eq!(too_many(&policies, 3), HashSet::new());
        assert_eq!(too_many(&policies, 2), [&(String::new(), "a".to_owned())].into());
    }
}
