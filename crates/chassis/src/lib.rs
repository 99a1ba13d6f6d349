//! What makes any process a good pod; no word of the product.
//!
//! A program is one call of [`main`]: it reads the settings ([`settings`]), starts the logs
//! ([`logs`]), and hands over a [`Shutdown`] that follows the signals. A service binds with
//! [`server::listen`], answers probes with [`probes`], keeps what it depends on connected with
//! [`link::keep`], and serves with [`server::serve`], all of which have limits.

mod http_url;
pub mod link;
pub mod logs;
pub mod probes;
mod sampler;
pub mod server;
pub mod settings;
mod shutdown;

use std::{fmt::Debug, process::ExitCode};

pub use http_url::{HttpUrl, HttpUrlError};
pub use sampler::Sampler;
pub use shutdown::Shutdown;

/// Runs a program: settings, logs, signals, then `service` until it ends.
///
/// Anything that goes wrong is one line on standard error: 2 is the exit code of wrong settings, 1
/// of a service that failed.
pub fn main<C, F>(service: impl FnOnce(C, Shutdown) -> F) -> ExitCode
where
    C: settings::Settings + Debug,
    F: Future<Output = anyhow::Result<()>>,
{
    let settings = match settings::read::<C>() {
        Ok(settings) => settings,
        Err(stop) => return stop.report(),
    };
    logs::start(settings.logs());
    let is_service = settings.is_service();
    if is_service {
        tracing::info!(?settings, "starting");
    }
    if let Err(error) = allow_connections() {
        tracing::warn!(%error, "cannot raise the limit of open files: it limits the connections, too");
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
            settings::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Raises the limit of open files as far as it may be raised: every connection is one, and the usual
/// limit of 1,024 (256 on macOS) is meant for programs of another kind.
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
    // Not to wait for a name that is being looked up, which may take as long as it likes.
    runtime.shutdown_background();
    result
}
