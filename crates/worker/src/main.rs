//! The worker: it hashes texts, and publishes the hashes on Redis.

use std::process::ExitCode;

use chassis::Cores;

fn main() -> ExitCode {
    chassis::main(|config: worker::Config, shutdown| async move {
        let listener = chassis::server::listen("PORT", config.port)?;
        worker::run(config, Cores::start()?, listener, shutdown).await
    })
}
