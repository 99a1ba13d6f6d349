//! The worker with a fake Redis.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod documentation;
mod faults;
mod http;
mod logs;
mod support;
