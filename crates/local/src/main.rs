//! The demo: both clusters in one process on a laptop.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main(|config: local::Config, shutdown| async move {
        let demo = local::Demo::bind(config)?;
        demo.print_guide();
        demo.run(shutdown).await
    })
}
