//! The frontend: the page, the live feed, the load.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main(|config: frontend::Config, shutdown| async move {
        let listener = chassis::server::listen("PORT", config.port)?;
        frontend::run(config, listener, shutdown).await
    })
}
