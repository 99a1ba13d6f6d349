//! The frontend between fake workers, a fake Redis and fake browsers.

#![expect(clippy::unwrap_used, reason = "a panic shows where a test fails")]

mod documentation;
mod edges;
mod faults;
mod page;
mod rate;
mod stats;
mod support;
