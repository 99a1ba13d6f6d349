//! Elects the one of several watchers that decides and writes, by a `Lease` of the API server.
//!
//! The leader renews the Lease. It stops before another watcher may take the Lease: [`HELD_FOR`] is shorter
//! than [`DURATION`]. The others take it when nobody has renewed it for that time by their own clocks,
//! so a wrong clock changes nothing. A leader that was paused for long may still have a write on the
//! way; the next leader therefore changes the route first, which makes that write fail.

mod election;

use std::{
    convert::Infallible,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{api_server::ApiServer, route::Error};
use chassis::{Shutdown, probes::Readiness};
use election::{Election, Step};

/// Another watcher may take the Lease when it was not renewed for this time.
const DURATION: Duration = Duration::from_secs(7);

/// A leader that could not renew the Lease for this time leads no more.
const HELD_FOR: Duration = Duration::from_secs(5);

/// The time between two renewals.
const RENEW_EVERY: Duration = Duration::from_secs(2);

/// The time between two looks at a Lease that another watcher holds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the API server may take to answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a watcher leads no more, until more is known.
const NOT_RENEWED: &str = "this watcher could not renew its Lease";

/// The longest part of a host's name in an identity, in characters.
const MAX_HOST: usize = 63;

/// Whether this watcher leads. Without an election it always does. Clones share it.
#[derive(Clone)]
pub(crate) struct Leadership {
    /// `None` without an election.
    elected: Option<Elected>,
}

#[derive(Clone)]
struct Elected {
    identity: Arc<str>,
    state: watch::Receiver<State>,
}

/// The state of the election.
#[derive(Clone, Debug)]
enum State {
    /// This watcher leads until then, unless it renews the Lease.
    Held { until: Instant },
    /// Another one does.
    HeldBy(String),
    /// The API server was not asked yet.
    NotAsked,
    /// The API server does not say, for this reason.
    Unknown(String),
}

impl Leadership {
    /// Leads always.
    pub(crate) const fn always() -> Self {
        Self { elected: None }
    }

    /// Takes part in the election by the Lease `name`, by default in the namespace of the credentials. The
    /// task ends at a shutdown, when it has given the Lease away.
    pub(crate) fn elected(
        server: ApiServer,
        namespace: Option<String>,
        name: &str,
        shutdown: Shutdown,
    ) -> (Self, AbortOnDropHandle<()>) {
        let identity: Arc<str> = new_identity().into();
        let (sender, state) = watch::channel(State::NotAsked);
        let client = LeaseClient {
            server,
            namespace,
            name: name.to_owned(),
            election: Election::new(Arc::clone(&identity)),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(client.keep(sender, shutdown)));
        (Self { elected: Some(Elected { identity, state }) }, task)
    }

    /// Whether this watcher decides and writes now.
    pub(crate) fn is_held(&self) -> bool {
        let Some(Elected { state, .. }) = &self.elected else { return true };
        matches!(*state.borrow(), State::Held { until } if Instant::now() < until)
    }

    /// The name of this watcher in the election; `None` without one.
    pub(crate) fn identity(&self) -> Option<&str> {
        self.elected.as_ref().map(|elected| &*elected.identity)
    }

    /// Who leads instead of this watcher, in words.
    pub(crate) fn describe(&self) -> String {
        match self.elected.as_ref().map(|elected| elected.state.borrow().clone()) {
            Some(State::HeldBy(holder)) => format!("another watcher decides: {holder}"),
            Some(State::Unknown(why)) => format!("nobody says who decides: {why}"),
            Some(State::NotAsked) => "the watchers have not elected one yet".to_owned(),
            Some(State::Held { .. }) => NOT_RENEWED.to_owned(),
            None => "this watcher decides".to_owned(),
        }
    }

    /// Reports for ever whether the election works.
    pub(crate) async fn report(self, readiness: &Readiness) -> Infallible {
        let dependency = readiness.register("electing the watcher that decides");
        loop {
            match self.problem() {
                None => dependency.up(),
                Some(problem) => dependency.down(problem),
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Why the election does not work; `None` if it does.
    fn problem(&self) -> Option<String> {
        match &*self.elected.as_ref()?.state.borrow() {
            State::Unknown(why) => Some(why.clone()),
            State::Held { until } if *until <= Instant::now() => Some(NOT_RENEWED.to_owned()),
            _ => None,
        }
    }
}

/// The host's name, which is the pod's, and a random number, because a host may run two watchers.
fn new_identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().take(MAX_HOST).collect();
    let random = RandomState::new().build_hasher().finish();
    format!("{host}-{:08x}", random as u32)
}

/// Reads and writes the Lease.
struct LeaseClient {
    server: ApiServer,
    namespace: Option<String>,
    name: String,
    election: Election,
}

impl LeaseClient {
    /// Takes part in the election until the shutdown.
    async fn keep(mut self, state: watch::Sender<State>, shutdown: Shutdown) {
        tokio::select! {
            () = self.server.ready() => {}
            () = shutdown.draining() => return,
        }
        loop {
            let asked_at = Instant::now();
            let next = match timeout(CALL_TIMEOUT, self.step(asked_at)).await {
                Ok(Ok(next)) => Ok(next),
                Ok(Err(error)) => Err(describe(&error)),
                Err(_) => Err(format!("the API server did not answer within {CALL_TIMEOUT:?}")),
            };
            let next = next.unwrap_or_else(|why| match *state.borrow() {
                State::Held { until } if asked_at < until => State::Held { until },
                _ => State::Unknown(why),
            });
            log_change(&state.borrow(), &next);
            let is_held = matches!(next, State::Held { .. });
            let is_renewed = matches!(next, State::Held { until } if asked_at + HELD_FOR == until);
            state.send_replace(next);
            tokio::select! {
                () = sleep(if is_renewed { RENEW_EVERY } else { LOOK_EVERY }) => {}
                () = shutdown.draining() => {
                    // Nothing is written any more when another watcher takes the Lease.
                    state.send_replace(State::Unknown("this watcher ends".to_owned()));
                    if is_held {
                        let _ = timeout(CALL_TIMEOUT, self.release()).await;
                    }
                    return;
                }
            }
        }
    }

    async fn step(&mut self, now: Instant) -> Result<State, Error> {
        let held = State::Held { until: now + HELD_FOR };
        let api = self.api()?;
        let Some(mut lease) = api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let spec = Some(self.spec(&LeaseSpec::default()));
            api.create(&PostParams::default(), &Lease { metadata, spec }).await?;
            return Ok(held);
        };
        let spec = lease.spec.take().unwrap_or_default();
        match self.election.judge(now, &spec) {
            Step::Wait { holder } => return Ok(State::HeldBy(holder)),
            Step::Take | Step::Renew => lease.spec = Some(self.spec(&spec)),
        }
        api.replace(&self.name, &PostParams::default(), &lease).await?;
        Ok(held)
    }

    /// The Lease as this watcher holds it, after it was `before`.
    fn spec(&self, before: &LeaseSpec) -> LeaseSpec {
        let now = Some(MicroTime(Timestamp::now()));
        let is_renewal = self.election.is_own(before);
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            acquire_time: if is_renewal { before.acquire_time.clone() } else { now.clone() },
            holder_identity: Some(self.election.identity().to_owned()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            lease_transitions: Some(transitions.saturating_add(i32::from(!is_renewal))),
            renew_time: now,
            ..LeaseSpec::default()
        }
    }

    /// Gives the Lease away, so that another watcher takes it at its next look.
    async fn release(&self) -> Result<(), Error> {
        let api = self.api()?;
        let mut lease = api.get(&self.name).await?;
        let spec = lease.spec.get_or_insert_default();
        if self.election.is_own(spec) {
            spec.holder_identity = Some(String::new());
            api.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }

    fn api(&self) -> Result<Api<Lease>, Error> {
        let client = self.server.client().map_err(Error::Unreachable)?;
        let namespace = self.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
        Ok(Api::namespaced(client, &namespace))
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::Refused { code: 403, message, .. } => format!(
            "the API server answered 403: {message}; the watcher's Role must allow get, create and update of the Lease"
        ),
        error => error.to_string(),
    }
}

fn log_change(before: &State, next: &State) {
    match (before, next) {
        (_, State::NotAsked) | (State::Held { .. }, State::Held { .. }) => {}
        (_, State::Held { .. }) => tracing::info!("this watcher decides now"),
        (State::HeldBy(before), State::HeldBy(holder)) if before == holder => {}
        (_, State::HeldBy(holder)) => tracing::info!(%holder, "another watcher decides: {holder}"),
        (State::Unknown(before), State::Unknown(why)) if before == why => {}
        (_, State::Unknown(why)) => {
            tracing::warn!("this watcher decides nothing, because nobody says who does: {why}");
        }
    }
}
