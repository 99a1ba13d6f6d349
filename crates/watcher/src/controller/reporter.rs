//! Writes the status of one policy: on change, and otherwise seldom.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::conditions::{self, Refusal};
use crate::{
    api_server::ApiServer,
    burst_policy::{BurstPolicy, BurstPolicyStatus},
    lease::Leadership,
    route::{BurstRequests, Error, FIELD_MANAGER},
    status::Status,
    watch::Shared,
};

/// The time between two looks at what is to be written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The least time between two writes of a status that has changed.
const LEAST_PAUSE: Duration = Duration::from_secs(3);

/// The same if the rate differs clearly, and nothing else.
const RATE_EVERY: Duration = Duration::from_secs(10);

/// How long a policy that was ready must have a problem before its status shows it. One answer that is late or
/// lost is no news, and whatever follows `Ready` would tell people.
const BRIEF: Duration = Duration::from_secs(5);

/// The least difference of the rate that is clear, as a part of it.
const CLEAR: f64 = 0.1;

/// The least time between two writes if only numbers have changed.
const NUMBERS_EVERY: Duration = Duration::from_secs(60);

/// How long the API server may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Writes the status of one policy.
pub(super) struct Reporter {
    server: ApiServer,
    leadership: Leadership,
    namespace: String,
    name: String,
    generation: Option<i64>,
    written: BurstPolicyStatus,
    written_at: Option<Instant>,
    problem: NewProblem,
    /// Whether another controller may have written the status since.
    is_outdated: bool,
    has_failed: bool,
}

impl Reporter {
    pub(super) fn new(shared: &Shared, object: &DynamicObject) -> Self {
        Self {
            server: shared.server.clone(),
            leadership: shared.leadership.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            generation: object.metadata.generation,
            written: written(object),
            written_at: None,
            problem: NewProblem::default(),
            is_outdated: false,
            has_failed: false,
        }
    }

    /// The requests to burst, as the status has them.
    pub(super) fn burst_requests(&self) -> Option<BurstRequests> {
        let at = self.written.burst_requests_at.as_ref().map_or_else(Timestamp::now, |at| at.0);
        let at = Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default();
        // An older controller wrote only their sum.
        let sum = || Some([self.written.burst_requests?, 0, 0, 0, 0, 0, 0]);
        let requests = self.written.burst_requests_by_ten_minutes.or_else(sum)?;
        Some(BurstRequests { at, requests: requests.map(|requests| requests as f64) })
    }

    /// Reports that the policy is refused, for ever. Its budget goes on.
    pub(super) async fn report_refusal(mut self, refusal: Refusal) {
        loop {
            let mut status = refusal.status(self.generation);
            status.burst_requests = self.written.burst_requests;
            status.burst_requests_by_ten_minutes = self.written.burst_requests_by_ten_minutes;
            status.burst_requests_at.clone_from(&self.written.burst_requests_at);
            self.report_once(status).await;
            sleep(LOOK_EVERY).await;
        }
    }

    /// Reports what the watch of the route shows, for ever.
    pub(super) async fn report(mut self, status: Status) {
        loop {
            sleep(LOOK_EVERY).await;
            let (watch, problems) = (status.get(), status.problems());
            if !problems.is_observed {
                continue;
            }
            let status = conditions::status(&watch, &problems, self.generation);
            if !self.problem.is_brief(Instant::now(), &self.written, &status) {
                self.report_once(status).await;
            }
        }
    }

    /// Writes a status if that is due, and if this controller is the one that decides.
    async fn report_once(&mut self, mut status: BurstPolicyStatus) {
        if !self.leadership.is_held() {
            self.is_outdated = true;
            return;
        }
        if self.is_outdated && !self.read().await {
            return;
        }
        status.continue_from(&self.written);
        let since = self.written_at.map(|at| at.elapsed());
        let pause = if is_news(&self.written, &status) {
            LEAST_PAUSE
        } else if differs_clearly(&self.written, &status) {
            RATE_EVERY
        } else {
            NUMBERS_EVERY
        };
        let is_due = since.is_none_or(|since| pause <= since) && status != self.written;
        if !is_due {
            return;
        }
        self.written_at = Some(Instant::now());
        match timeout(LIMIT, self.write(&status)).await {
            Ok(Ok(())) => {
                self.written = status;
                self.has_failed = false;
            }
            Ok(Err(error)) => self.log_failure(&error.to_string()),
            Err(_) => self.log_failure("the API server did not answer in time"),
        }
    }

    /// Reads the status that another controller has written; returns whether that is known.
    async fn read(&mut self) -> bool {
        let read = async { Ok::<_, Error>(self.api()?.get(&self.name).await?) };
        let Ok(Ok(object)) = timeout(LIMIT, read).await else {
            self.log_failure("it cannot read what another controller has written");
            return false;
        };
        self.written = written(&object);
        self.is_outdated = false;
        true
    }

    async fn write(&self, status: &BurstPolicyStatus) -> Result<(), Error> {
        let api = self.api()?;
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(&self.name, &parameters, &patch).await?;
        Ok(())
    }

    fn api(&self) -> Result<Api<DynamicObject>, Error> {
        let client = self.server.client().map_err(Error::Unreachable)?;
        let resource = ApiResource::erase::<BurstPolicy>(&());
        Ok(Api::namespaced_with(client, &self.namespace, &resource))
    }

    fn log_failure(&mut self, why: &str) {
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::warn!("the controller cannot write the status of the policy: {why}");
        }
    }
}

/// A problem that the status does not show yet.
#[derive(Default)]
struct NewProblem {
    since: Option<Instant>,
}

impl NewProblem {
    /// Whether the policy was ready until a moment ago.
    fn is_brief(
        &mut self,
        now: Instant,
        written: &BurstPolicyStatus,
        status: &BurstPolicyStatus,
    ) -> bool {
        let is_new = is_ready(written)
            && !is_ready(status)
            && written.observed_generation == status.observed_generation;
        if !is_new {
            self.since = None;
        }
        is_new && now.duration_since(*self.since.get_or_insert(now)) < BRIEF
    }
}

/// The status of a policy.
fn written(object: &DynamicObject) -> BurstPolicyStatus {
    let status = object.data.get("status").cloned().unwrap_or_default();
    serde_json::from_value(status).unwrap_or_default()
}

fn is_ready(status: &BurstPolicyStatus) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether more than numbers differ. The sentences hold numbers.
fn is_news(before: &BurstPolicyStatus, after: &BurstPolicyStatus) -> bool {
    let key = |status: &BurstPolicyStatus| {
        let conditions = status.conditions.iter();
        let conditions: Vec<_> = conditions
            .map(|it| {
                (
                    it.type_.clone(),
                    it.status.clone(),
                    it.reason.clone(),
                    without_numbers(&it.message),
                )
            })
            .collect();
        let newest: Option<Timestamp> = status.decisions.first().map(|newest| newest.time.0);
        let rarely = (status.primary_percent, status.burst_percent, status.capacity.clone());
        (status.observed_generation, status.state.clone(), rarely, conditions, newest)
    };
    key(before) != key(after)
}

fn without_numbers(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit() && *letter != '.').collect()
}

/// Whether the rates differ by more than chance usually does.
fn differs_clearly(before: &BurstPolicyStatus, after: &BurstPolicyStatus) -> bool {
    let rate = |status: &BurstPolicyStatus| {
        status.rate.as_deref()?.strip_suffix("/s")?.parse::<f64>().ok()
    };
    match (rate(before), rate(after)) {
        (Some(before), Some(after)) => CLEAR * before.max(after).max(1.0) < (before - after).abs(),
        (before, after) => before.is_some() != after.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::burst_policy::condition;

    #[test]
    fn a_brief_problem_is_not_shown() {
        let of = |problem: Option<&str>, generation| BurstPolicyStatus {
            observed_generation: Some(generation),
            conditions: vec![condition(
                "Ready",
                problem.map(|problem| ("RouteUnusable", problem.to_owned())),
                Some(generation),
            )],
            ..BurstPolicyStatus::default()
        };
        let (ready, late) = (of(None, 1), of(Some("no answer"), 1));
        let mut problem = NewProblem::default();
        let start = Instant::now();
        let mut is_brief = |half: u32, written, status| {
            problem.is_brief(start + BRIEF / 2 * half, written, status)
        };
        assert!(is_brief(0, &ready, &late));
        assert!(is_brief(1, &ready, &late));
        assert!(!is_brief(1, &ready, &ready), "it is over");
        assert!(is_brief(2, &ready, &late), "it is another one");
        assert!(!is_brief(4, &ready, &late), "it lasts");
        assert!(!is_brief(4, &late, &late), "it is shown");
        let edited = of(Some("no such route"), 2);
        assert!(!is_brief(4, &ready, &edited), "whoever edits a policy waits for the answer");
    }
}
