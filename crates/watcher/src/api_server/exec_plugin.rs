//! Runs a credential plugin of a kubeconfig:
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.
//!
//! The watcher repeats nothing that a plugin prints, because that may be a token.

use std::{process::Stdio, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::jiff::Timestamp;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
};

/// The most that a plugin may print, in bytes. A token and a certificate have some thousands.
const MAX_OUTPUT: u64 = 1024 * 1024;

/// What a plugin gave.
pub(super) struct Given {
    /// A token, or a certificate and its key.
    pub(super) auth_info: AuthInfo,
    /// Until when it holds; `None` if it has no end.
    pub(super) until: Option<SystemTime>,
}

#[derive(Deserialize)]
struct ExecCredential {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Runs a plugin. Dropping the future kills it.
///
/// # Errors
/// What is wrong, without anything that the plugin printed.
pub(super) async fn run(plugin: &ExecConfig) -> Result<Given, String> {
    let name = plugin.command.as_deref().unwrap_or_default();
    let wrong = |what: &str| format!("the credential plugin {name:?} {what}");
    if plugin.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(wrong("needs a terminal, and the watcher has none"));
    }
    let mut process =
        command(plugin).spawn().map_err(|error| wrong(&format!("does not start: {error}")))?;
    let group = Group::of(&process);
    let mut output = Vec::new();
    if let Some(printed) = process.stdout.take() {
        let read = printed.take(MAX_OUTPUT).read_to_end(&mut output).await;
        read.map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    }
    let status = process.wait().await.map_err(|error| wrong(&format!("is lost: {error}")))?;
    group.has_ended();
    if !status.success() {
        return Err(wrong(&format!("failed: {status}")));
    }
    given(&output)
        .ok_or_else(|| wrong("printed no ExecCredential with a token or a certificate and its key"))
}

/// A plugin, and what it has started. Dropping it before the plugin has ended kills all of them.
struct Group(Option<Pid>);

impl Group {
    fn of(process: &Child) -> Self {
        Self(process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It fails only if all of them have ended.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

fn command(plugin: &ExecConfig) -> Command {
    let mut command = Command::new(plugin.command.as_deref().unwrap_or_default());
    command.args(plugin.args.iter().flatten());
    for variable in plugin.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    let cluster = plugin.provide_cluster_info.then_some(plugin.cluster.as_ref()).flatten();
    let mut spec = json!({ "interactive": false });
    if let Some(cluster) = cluster.and_then(|cluster| serde_json::to_value(cluster).ok()) {
        spec["cluster"] = cluster;
    }
    let version = plugin.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1");
    let info = json!({ "apiVersion": version, "kind": "ExecCredential", "spec": spec });
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.process_group(0);
    command
}

fn given(output: &[u8]) -> Option<Given> {
    let status = serde_json::from_slice::<ExecCredential>(output).ok()?.status?;
    let certificate = status.client_certificate_data.zip(status.client_key_data);
    if status.token.is_none() && certificate.is_none() {
        return None;
    }
    let (certificate, key) = certificate.unzip();
    let base64 = |pem: Option<String>| pem.map(|pem| STANDARD.encode(pem));
    let auth_info = json!({
        "token": status.token,
        "client-certificate-data": base64(certificate),
        "client-key-data": base64(key),
    });
    let auth_info = serde_json::from_value(auth_info).ok()?;
    Some(Given { auth_info, until: status.expiration_timestamp.map(SystemTime::from) })
}
