//! The services against the far sides of their wires, each alone and all together.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod browser;
mod closed_loop;
mod frontend;
mod frontend_faults;
mod frontend_figures;
mod frontend_page;
mod manifests;
mod readme;
mod story;
mod support;
mod watcher;
mod worker;
mod worker_faults;
