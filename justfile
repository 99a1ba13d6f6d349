# Names the commands of this project. `just` lists them.

_list:
    @just --list --unsorted

# Run the demo: everything in one process, at http://localhost:8080
demo:
    cargo run

build:
    cargo build --locked

# All tests of the crates
test:
    cargo test --locked

# The tests of one crate, such as: just test-crate worker SIGTERM
test-crate CRATE *FILTER:
    cargo test --locked -p {{CRATE}} {{FILTER}}

# The end-to-end tests, such as: just e2e e2e/tests/page.test.mjs
e2e *ARGUMENTS:
    scripts/e2e {{ARGUMENTS}}

# Format, clippy, and what is not Rust
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    scripts/lint

# The documentation of the crates, in a browser
docs:
    cargo doc --locked --no-deps --document-private-items --open

# The measurements, such as: just bench worker
bench *ARGUMENTS:
    scripts/bench {{ARGUMENTS}}

# Everything that must pass before a change lands
ci:
    .ci/run
