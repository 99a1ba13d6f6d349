//! Credentials that expire, rotate or never come, and servers that ask for some.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    extract::Request,
    http::{StatusCode, header::AUTHORIZATION},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
};
use chassis::{Shutdown, server::serve};
use fakes::{
    FakeKubernetes,
    testing::{BackgroundTask, eventually, free_port, listener, pass, spawn},
};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::{BURST, RunningWatcher, ScriptedPrometheus, kubeconfig};

/// A server that knows some headers, and answers whoever has another one with 401.
struct GuardedServer {
    address: SocketAddr,
    objects: FakeKubernetes,
    /// The name and the value of the header.
    accepted: Arc<Mutex<(String, String)>>,
    _task: BackgroundTask,
}

impl GuardedServer {
    fn start(accepted: &str) -> Self {
        let objects = FakeKubernetes::from_manifest().unwrap();
        let accepted = Arc::new(Mutex::new((AUTHORIZATION.to_string(), accepted.to_owned())));
        let told = Arc::clone(&accepted);
        let guard = from_fn(move |request: Request, next: Next| {
            let (name, value) = told.lock().unwrap().clone();
            async move {
                match request.headers().get(name).and_then(|value| value.to_str().ok()) {
                    Some(given) if given == value => next.run(request).await,
                    _ => (StatusCode::UNAUTHORIZED, "no such caller\nsecond line").into_response(),
                }
            }
        });
        let (listener, address) = listener();
        let router = objects.clone().router().layer(guard);
        Self { address, objects, accepted, _task: spawn(serve(listener, router, Shutdown::new())) }
    }

    fn accept(&self, value: &str) {
        self.accepted.lock().unwrap().1 = value.to_owned();
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A credential plugin, which is a shell script.
fn plugin(folder: &TempDir, script: &str) -> String {
    let path = folder.path().join("plugin");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!(
        "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: '{}', interactiveMode: Never}}}}",
        path.display()
    )
}

fn credential(status: &str) -> String {
    format!(
        "echo '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{{{status}}}}}'"
    )
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_token_that_is_revoked_is_read_again_from_its_file() {
    let (prometheus, server) = (ScriptedPrometheus::start(), GuardedServer::start("Bearer one"));
    let folder = TempDir::new().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "one").unwrap();
    let user = format!("{{tokenFile: '{}'}}", token.display());
    let watcher = RunningWatcher::start_as(prometheus.address, &server.url(), &user, &[]);
    watcher.counts("observations", "ok").await;
    server.accept("Bearer two");
    watcher.counts("observations", "unauthorized").await;
    fs::write(&token, "two").unwrap();
    watcher.counts("observations", "ok").await;
}

#[tokio::test]
async fn a_plugin_runs_again_when_its_token_expires_and_when_it_is_refused() {
    let (prometheus, server) = (ScriptedPrometheus::start(), GuardedServer::start("Bearer one"));
    let folder = TempDir::new().unwrap();
    let (runs, token) = (folder.path().join("runs"), folder.path().join("token"));
    fs::write(&token, "one").unwrap();
    let expiry = "$(date -u -d '+4 seconds' +%Y-%m-%dT%H:%M:%SZ)";
    let script = format!(
        "echo run >>'{}'\ntoken=$(cat '{}')\n{}",
        runs.display(),
        token.display(),
        credential(&format!("\"token\":\"'$token'\",\"expirationTimestamp\":\"'{expiry}'\""))
    );
    let user = plugin(&folder, &script);
    let watcher = RunningWatcher::start_as(prometheus.address, &server.url(), &user, &[]);
    watcher.counts("observations", "ok").await;
    sleep(Duration::from_secs(8)).await;
    let count = lines(&runs);
    assert!((2..=5).contains(&count), "{count} runs in eight seconds, for tokens of four");
    server.accept("Bearer two");
    fs::write(&token, "two").unwrap();
    watcher.counts("observations", "ok").await;
}

#[tokio::test]
async fn a_plugin_that_hangs_delays_nothing_and_runs_once() {
    let (prometheus, server) = (ScriptedPrometheus::start(), GuardedServer::start("Bearer one"));
    prometheus.set_rate(200.0);
    let folder = TempDir::new().unwrap();
    let runs = folder.path().join("runs");
    // What a plugin starts hangs, too, and keeps its output open.
    let pid = folder.path().join("pid");
    let hang = format!("sleep 600 & echo $! >'{}'; wait", pid.display());
    let script = format!("echo run >>'{}'\n{hang}", runs.display());
    let user = plugin(&folder, &script);
    let watcher = RunningWatcher::start_as(prometheus.address, &server.url(), &user, &[]);
    watcher.counts("observations", "unreachable").await;
    assert_eq!(watcher.get("/").await.0, 200);
    assert_eq!(watcher.get("/_healthz").await.0, 503);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(lines(&runs), 1);
    // It no longer hangs: the watcher kills it after its 15 s, and runs it again.
    plugin(&folder, &credential("\"token\":\"one\""));
    pass(Duration::from_secs(15)).await;
    eventually("the watcher bursts", async || server.objects.weights() == BURST).await;
    let child = fs::read_to_string(pid).unwrap();
    let state = fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    // In a container perhaps nobody waits for what has ended.
    let has_ended = state.is_empty() || state.contains(") Z ");
    assert!(has_ended, "what the plugin started still runs: {state}");
}

#[tokio::test]
async fn a_user_with_a_plugin_keeps_whom_it_impersonates() {
    let (prometheus, server) = (ScriptedPrometheus::start(), GuardedServer::start("Bearer one"));
    *server.accepted.lock().unwrap() = ("impersonate-user".to_owned(), "ops".to_owned());
    let folder = TempDir::new().unwrap();
    let user = plugin(&folder, &credential("\"token\":\"one\"")).replacen('{', "{as: ops, ", 1);
    let watcher = RunningWatcher::start_as(prometheus.address, &server.url(), &user, &[]);
    watcher.counts("observations", "ok").await;
}

#[tokio::test]
async fn what_a_plugin_prints_is_not_repeated() {
    let prometheus = ScriptedPrometheus::start();
    let folder = TempDir::new().unwrap();
    let script = "echo 'token: hush'; echo 'hush, too' >&2; exit 3";
    let kubeconfig = kubeconfig("http://127.0.0.1:1", &plugin(&folder, script));
    let (output, _) = logged(&[
        ("KUBECONFIG", kubeconfig.path().to_str().unwrap()),
        ("PROMETHEUS_URL", &format!("http://{}", prometheus.address)),
        ("RUST_LOG", "debug"),
    ]);
    assert!(output.contains("failed: exit status: 3"), "{output}");
    assert!(!output.contains("hush"), "{output}");
}

/// Runs a watcher for two seconds; returns its log, and how it ended on SIGTERM.
fn logged(environment: &[(&str, &str)]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watcher"));
    command.env("PORT", free_port().to_string()).envs(environment.iter().copied());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    std::thread::sleep(Duration::from_secs(2));
    let kill = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status();
    assert!(kill.unwrap().success());
    let log: Vec<_> = log.lines().map_while(Result::ok).collect();
    (log.join("\n"), child.wait().unwrap().code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_answers_is_named_and_exceptions_are_heeded() {
    let (prometheus, server) = (ScriptedPrometheus::start(), GuardedServer::start("Bearer secret"));
    let refuse = axum::Router::new()
        .fallback(async || -> Response { (StatusCode::BAD_GATEWAY, "no way").into_response() });
    let (proxies, proxy) = listener();
    let _proxy = spawn(serve(proxies, refuse, Shutdown::new()));
    let kubeconfig = kubeconfig(&server.url(), "{token: secret}");
    let proxy = format!("http://me:hush@{proxy}");
    let url = format!("http://{}", prometheus.address);
    let run = |no_proxy: &str| {
        logged(&[
            ("KUBECONFIG", kubeconfig.path().to_str().unwrap()),
            ("PROMETHEUS_URL", &url),
            ("HTTP_PROXY", &proxy),
            ("HTTPS_PROXY", &proxy),
            ("NO_PROXY", no_proxy),
        ])
    };
    let (output, code) = run("127.0.0.1");
    assert!(
        output.contains("SERIES is fine") || output.contains("request rate: ready"),
        "{output}"
    );
    assert!(!output.contains("through the proxy"), "{output}");
    assert_eq!(code, Some(0), "{output}");
    let (output, code) = run("");
    assert!(
        output.contains("Prometheus answered 502: no way: through the proxy http://127.0.0.1:"),
        "{output}"
    );
    assert!(!output.contains("hush"), "{output}");
    assert_eq!(code, Some(0), "{output}");
}

/// Waits until a watcher with these settings has the answers of a guarded Prometheus.
async fn check_prometheus(header: (&str, &str), arguments: &[&str]) -> RunningWatcher {
    let prometheus = ScriptedPrometheus::start_guarded(header);
    let server = GuardedServer::start("Bearer secret");
    let refused = RunningWatcher::start(prometheus.address, server.address, &[]);
    refused.counts("queries", "http").await;
    let reason = refused.get("/_healthz").await.1;
    assert!(reason.contains("401: no org id: PROMETHEUS_HEADERS"), "{reason}");
    let watcher = RunningWatcher::start(prometheus.address, server.address, arguments);
    watcher.counts("queries", "ok").await;
    watcher
}

#[tokio::test]
async fn prometheus_is_given_what_it_asks_for() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "hush\n").unwrap();
    let file = |setting: &str| format!("--prometheus-{setting}={}", secret.display());
    let tenant = "--prometheus-headers=X-Scope-OrgID: team-a";
    check_prometheus(("x-scope-orgid", "team-a"), &[tenant]).await;
    check_prometheus(("authorization", "Bearer hush"), &[&file("token-file")]).await;
    let basic = ["--prometheus-user=me", &file("password-file")];
    check_prometheus(("authorization", "Basic bWU6aHVzaA=="), &basic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_trusted_certificates_can_ask_over_http() {
    let (prometheus, server) = (ScriptedPrometheus::start(), GuardedServer::start("Bearer secret"));
    prometheus.set_rate(50.0);
    let kubeconfig = kubeconfig(&server.url(), "{token: secret}");
    let (output, code) = logged(&[
        ("KUBECONFIG", kubeconfig.path().to_str().unwrap()),
        ("PROMETHEUS_URL", &format!("http://{}", prometheus.address)),
        ("SSL_CERT_FILE", "/dev/null"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ]);
    assert!(output.contains("request rate: ready"), "{output}");
    assert_eq!(code, Some(0), "{output}");
}
