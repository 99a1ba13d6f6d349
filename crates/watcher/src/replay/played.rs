//! The settings that a replay plays, and what it must assume for that.

use std::{fs::File, io::Read as _, path::Path};

use anyhow::Context as _;
use kube::api::DynamicObject;
use policy::Settings;
use serde::Deserialize as _;
use serde_json::Value;

use super::ReplayConfig;
use crate::{
    burst_policy::{ValidPolicy, check_known},
    config::WatchSettings,
};

/// The largest file of a policy, in bytes.
const MAX_POLICY: u64 = 1 << 20;

/// How many kinds of objects an error names.
const MAX_KINDS: usize = 5;

/// The settings, and what the load does not show of them.
pub(super) struct PlayedSettings {
    pub(super) watch: WatchSettings,
    /// What is assumed; empty if nothing is.
    pub(super) assumptions: Vec<String>,
}

impl PlayedSettings {
    /// Reads the policy, and puts assumptions where it asks for what only a cluster shows.
    ///
    /// # Errors
    /// When the file cannot be used, or only `--primary-carries` can say what primary carries.
    pub(super) fn new(config: &ReplayConfig) -> anyhow::Result<Self> {
        let mut watch = match &config.policy_file {
            None => config.watch.clone(),
            Some(path) => {
                read_policy(path).with_context(|| format!("--policy-file: {}", path.display()))?
            }
        };
        let mut assumptions = Vec::new();
        if is_capacity_measured(&watch.policy) {
            let carries = config.primary_carries.context(
                "--primary-carries: missing; the load does not show what CAPACITY_SERVICE or CAPACITY_QUERY would",
            )?;
            fix_capacity(&mut watch.policy, carries);
            assumptions.push(format!("Primary is taken to carry {carries}/s all the time."));
        }
        let burst = &mut watch.policy.burst;
        let ready = (burst.burst_ready_query.take(), burst.burst_ready_url.take());
        if ready != (None, None) {
            assumptions.push("Burst is taken to be ready all the time.".to_owned());
        }
        Ok(Self { watch, assumptions })
    }

    /// What is assumed, and what the load does not show; `None` if there is neither.
    pub(super) fn note(&self, of_load: Option<String>) -> Option<String> {
        let all: Vec<_> = self.assumptions.iter().cloned().chain(of_load).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }
}

fn is_capacity_measured(policy: &Settings) -> bool {
    let capacity = &policy.capacity;
    capacity.capacity_service.is_some() || capacity.capacity_query.is_some()
}

/// Makes the capacity a number. The thresholds are for the capacity that is set, and change with it.
fn fix_capacity(policy: &mut Settings, carries: f64) {
    let scale = carries / policy.capacity.capacity;
    policy.threshold = policy.threshold.scaled(scale);
    policy.capacity.capacity = carries;
    (policy.capacity.capacity_service, policy.capacity.capacity_query) = (None, None);
}

fn read_policy(path: &Path) -> anyhow::Result<WatchSettings> {
    let mut text = String::new();
    File::open(path)?.take(MAX_POLICY + 1).read_to_string(&mut text)?;
    anyhow::ensure!(
        text.len() as u64 <= MAX_POLICY,
        "it has more than {MAX_POLICY} bytes; accepted: a BurstPolicy"
    );
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
        .map_err(|error| anyhow::anyhow!("it is no YAML: {}", error.without_snippet()))?;
    let is_policy = |document: &&Value| document["kind"] == "BurstPolicy";
    let policies: Vec<_> = documents.iter().filter(is_policy).collect();
    let [policy] = policies[..] else {
        let kinds = documents.iter().map(|document| document["kind"].as_str());
        let kinds: Vec<_> = kinds.map(|kind| kind.unwrap_or("no kind")).take(MAX_KINDS).collect();
        let holds = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
        anyhow::bail!("it holds {holds}; accepted: one BurstPolicy");
    };
    let object = DynamicObject::deserialize(policy)?;
    object.data.get("spec").map_or(Ok(()), check_known).map_err(anyhow::Error::msg)?;
    Ok(ValidPolicy::read(&object).map_err(anyhow::Error::msg)?.watch)
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;

    use super::*;

    fn played(arguments: &[&str]) -> anyhow::Result<PlayedSettings> {
        let arguments = [&["--shape=step"], arguments].concat();
        PlayedSettings::new(&from_arguments(&arguments).unwrap())
    }

    #[test]
    fn what_only_a_cluster_shows_is_assumed_or_asked_for() {
        let error = played(&["--capacity-query=up"]).err().unwrap().to_string();
        assert!(error.starts_with("--primary-carries: missing"), "{error}");
        let arguments = [
            "--capacity-service=cart",
            "--capacity=5",
            "--primary-carries=20",
            "--burst-above=5",
            "--home-below=4",
            "--burst-ready-query=up",
        ];
        let PlayedSettings { watch, assumptions } = played(&arguments).unwrap();
        let policy = &watch.policy;
        assert_eq!((policy.capacity.capacity, policy.threshold.burst_above), (20.0, 20.0));
        assert!(!policy.burst.must_be_ready() && !is_capacity_measured(policy));
        assert_eq!(assumptions.len(), 2);
        assert!(played(&[]).unwrap().assumptions.is_empty());
    }

    #[test]
    fn a_file_is_checked_as_an_api_server_checks_it() {
        for (spec, says) in [
            ("{route: {name: a}, policy: Spill, capacity: {requestsPerSecond: -5}}", "-5"),
            ("{route: {name: a}, spill: {headrom: 0.5}}", "no such field"),
        ] {
            let error = read(&policy(spec)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(read_policy(Path::new("/dev/zero")).unwrap_err().to_string().contains("more than"));
    }

    #[test]
    fn a_policy_is_found_among_other_objects() {
        let good = policy(
            "{route: {name: a}, signal: {series: b}, threshold: {burstAbove: 5, homeBelow: 4}}",
        );
        let other = "kind: Service\nspec: {a: [b]}\n";
        assert_eq!(read(&format!("---\n{other}---\n{good}---\n")).unwrap(), 5.0);
        for (text, holds) in [
            (other, "Service"),
            (&*format!("{good}---\n{good}"), "BurstPolicy, BurstPolicy"),
            ("5", "no kind"),
            ("[a, b]", "no kind"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error, format!("it holds {holds}; accepted: one BurstPolicy"));
        }
        assert_eq!(read("").unwrap_err(), "it holds nothing; accepted: one BurstPolicy");
        let error = read("spec: [").unwrap_err();
        assert!(error.starts_with("it is no YAML: ") && !error.contains('\n'), "{error}");
    }

    fn policy(spec: &str) -> String {
        format!("kind: BurstPolicy\napiVersion: a/v1\nmetadata: {{name: a}}\nspec: {spec}\n")
    }

    /// Reads this text from a file; returns the rate above which it bursts.
    fn read(text: &str) -> Result<f64, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let watch = read_policy(file.path()).map_err(|error| error.to_string())?;
        Ok(watch.policy.threshold.burst_above)
    }
}
