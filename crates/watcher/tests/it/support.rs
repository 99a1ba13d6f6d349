//! A running watcher, and what it stands between.

mod kubernetes_server;
mod scripted_prometheus;

use std::net::SocketAddr;

use chassis::{Shutdown, settings::from_arguments};
use contract::WatcherStatus;
use fakes::{
    StoredWeights,
    testing::{BackgroundTask, eventually, http, listener, spawn},
};
use tempfile::NamedTempFile;

pub(crate) use kubernetes_server::KubernetesServer;
pub(crate) use scripted_prometheus::{ScriptedPrometheus, series, since_epoch, vector};

pub(crate) const HOME: StoredWeights = StoredWeights { primary: 100, burst: 0 };
pub(crate) const BURST: StoredWeights = StoredWeights { primary: 0, burst: 100 };

/// The settings of a watcher that is ten times as quick as usual, at ten times the rates.
const QUICK: [&str; 7] = [
    "--interval=100ms",
    "--home-hold=300ms",
    "--stale-after=400ms",
    "--ejection-time=2s",
    "--burst-above=150",
    "--home-below=100",
    "--capacity=150",
];

/// Starts a Prometheus and an API server, whose weights the requests follow.
pub(crate) fn start_both() -> (ScriptedPrometheus, KubernetesServer) {
    let (prometheus, kubernetes) = (ScriptedPrometheus::start(), KubernetesServer::start());
    prometheus.follow(&kubernetes.objects);
    (prometheus, kubernetes)
}

/// A kubeconfig of a server, with a user in YAML.
pub(crate) fn kubeconfig(server: &str, user: &str) -> NamedTempFile {
    let kubeconfig = NamedTempFile::new().unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, \
         user: u}}}}]\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: \
         [{{name: u, user: {user}}}]\n"
    );
    std::fs::write(kubeconfig.path(), text).unwrap();
    kubeconfig
}

/// A watcher that runs in the background of a test.
pub(crate) struct RunningWatcher {
    address: SocketAddr,
    /// Ends it in an orderly way; to drop it is to kill it.
    pub(crate) shutdown: Shutdown,
    _kubeconfig: NamedTempFile,
    _task: BackgroundTask,
}

impl RunningWatcher {
    pub(crate) fn start(
        prometheus: SocketAddr,
        kubernetes: SocketAddr,
        arguments: &[&str],
    ) -> Self {
        Self::start_with(prometheus, &format!("http://{kubernetes}"), arguments)
    }

    pub(crate) fn start_with(prometheus: SocketAddr, server: &str, arguments: &[&str]) -> Self {
        Self::start_as(prometheus, server, "{token: secret}", arguments)
    }

    /// Starts one whose kubeconfig has a user, in YAML.
    pub(crate) fn start_as(
        prometheus: SocketAddr,
        server: &str,
        user: &str,
        arguments: &[&str],
    ) -> Self {
        let kubeconfig = kubeconfig(server, user);
        let prometheus = format!("--prometheus-url=http://{prometheus}");
        let path = format!("--kubeconfig={}", kubeconfig.path().display());
        let given: Vec<_> =
            arguments.iter().map(|argument| argument.split('=').next().unwrap()).collect();
        let is_given = |quick: &&str| given.iter().any(|name| quick.starts_with(*name));
        let quick = QUICK.into_iter().filter(|quick| !is_given(quick));
        let all: Vec<_> = [prometheus.as_str(), &path]
            .into_iter()
            .chain(quick)
            .chain(arguments.iter().copied())
            .collect();
        let config = from_arguments(&all).unwrap();
        let (listener, address) = listener();
        let shutdown = Shutdown::new();
        let task = spawn(watcher::run(config, listener, shutdown.clone()));
        Self { address, shutdown, _kubeconfig: kubeconfig, _task: task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = http().get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn status(&self) -> WatcherStatus {
        serde_json::from_str(&self.get("/status").await.1).unwrap()
    }

    /// Returns a count by result.
    pub(crate) async fn count(&self, metric: &str, result: &str) -> u64 {
        let (_, metrics) = self.get("/metrics").await;
        let line = format!("watcher_{metric}_total{{result=\"{result}\"}} ");
        metrics
            .lines()
            .find_map(|text| text.strip_prefix(&line))
            .map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until a count has grown by a few.
    pub(crate) async fn counts(&self, metric: &str, result: &str) {
        let before = self.count(metric, result).await;
        let what = format!("the watcher counts {metric} {result}");
        eventually(&what, async || before + 2 < self.count(metric, result).await).await;
    }
}
