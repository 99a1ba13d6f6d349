//! The watcher: keeps the mesh's weights in step with the load.

use std::{
    io::{BufWriter, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use watcher::{Command, Config, ControllerCommand, ControllerConfig, ReplayConfig};

/// How a shell reports that Ctrl-C has ended a program.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if ControllerConfig::is_meant_by(&arguments) {
        return chassis::main(|config: ControllerConfig, shutdown| async move {
            match config.command {
                ControllerCommand::Crd => {
                    let mut output = std::io::stdout();
                    output.write_all(watcher::crd().as_bytes()).context("printing the definition")
                }
                ControllerCommand::Controller => {
                    let listener = chassis::server::listen("PORT", config.port)?;
                    watcher::control(config, listener, shutdown).await
                }
            }
        });
    }
    if ReplayConfig::is_meant_by(&arguments) {
        return chassis::main(|config: ReplayConfig, shutdown| async move {
            // A replay keeps its thread busy, and has nothing to finish.
            tokio::spawn(async move {
                shutdown.draining().await;
                std::process::exit(INTERRUPTED);
            });
            let mut output = BufWriter::new(std::io::stdout());
            watcher::replay(&config, &mut output)?;
            output.flush().context("printing the result")
        });
    }
    chassis::main(|config: Config, shutdown| async move {
        match config.command {
            Command::Explain => Box::pin(watcher::explain(&config)).await,
            Command::Run => {
                let listener = chassis::server::listen("PORT", config.port)?;
                watcher::run(config, listener, shutdown).await
            }
        }
    })
}
