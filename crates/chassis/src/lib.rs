//! The chassis: what makes any process a good pod. It knows nothing of the product.
//!
//! A program calls [`main`], which reads the settings ([`settings`]), starts the logs ([`logs`]),
//! and passes on a [`Shutdown`] that follows the signals. A service listens with
//! [`server::listen`], answers probes with [`probes`], keeps its dependencies connected with
//! [`link::keep`], and serves with [`server::serve`]. Each of these has limits.

mod cores;
mod http_url;
pub mod link;
pub mod logs;
pub mod probes;
mod sampler;
pub mod server;
pub mod settings;
mod shutdown;

use std::{fmt::Debug, process::ExitCode};

pub use cores::Cores;
pub use http_url::{HttpUrl, HttpUrlError};
pub use sampler::Sampler;
pub use shutdown::Shutdown;

/// Runs a program: settings, logs, signals, then `service` until it ends.
///
/// An error is one line on standard error. The exit code is 2 for wrong settings, and 1 for a
/// service that failed.
pub fn main<C, F>(service: impl FnOnce(C, Shutdown) -> F) -> ExitCode
where
    C: settings::Settings + Debug,
    F: Future<Output = anyhow::Result<()>>,
{
    let settings = match settings::read::<C>() {
        Ok(settings) => settings,
        Err(exit) => return exit.report(),
    };
    logs::start(settings.logs());
    let _flush = logs::FlushAtEnd;
    let is_service = settings.is_service();
    if is_service {
        tracing::info!(?settings, "starting");
    }
    if let Err(error) = allow_connections() {
        tracing::warn!(%error, "cannot raise the limit of open files, which also limits the connections");
    }
    let result = run(settings, service);
    match result {
        Ok(()) => {
            if is_service {
                tracing::info!("ended");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            logs::print_line(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Raises the limit of open files as far as the system allows. Every connection is an open file, so
/// the usual limit of 1,024 (256 on macOS) is too low for a server.
///
/// # Errors
/// When the system does not allow it.
pub fn allow_connections() -> std::io::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX).map(|_| ())
}

fn run<C, F>(settings: C, service: impl FnOnce(C, Shutdown) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(async { service(settings, Shutdown::on_signal()?).await });
    // A DNS lookup in progress may take very long, and nobody needs its result any more.
    runtime.shutdown_background();
    result
}
