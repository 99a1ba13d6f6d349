//! The watcher: keeps the mesh's weights in step with the load.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main(|config: watcher::Config, shutdown| async move {
        let listener = chassis::server::listen("PORT", config.port)?;
        watcher::run(config, listener, shutdown).await
    })
}
