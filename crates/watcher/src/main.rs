//! The watcher: keeps the mesh's weights in step with the load.

use std::process::ExitCode;

use watcher::Command;

fn main() -> ExitCode {
    chassis::main(|config: watcher::Config, shutdown| async move {
        match config.command {
            Command::Explain => watcher::explain(&config).await,
            Command::Run => {
                let listener = chassis::server::listen("PORT", config.port)?;
                watcher::run(config, listener, shutdown).await
            }
        }
    })
}
