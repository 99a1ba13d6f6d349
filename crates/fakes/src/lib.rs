//! The far side of each wire, for tests and for the demo of `cargo run`.
//!
//! Each fake speaks the real protocol on a real port, so our programs run against it unchanged.
//! [`FakeRedis`] publishes and subscribes; [`FakeMesh`] stands for the sidecars and counts requests;
//! [`FakePrometheus`] scrapes these counts and answers queries; [`FakeKubernetes`] holds the one
//! `VirtualService`; [`FakeWorker`] answers as a test wants; [`FakeBrowser`] is a visitor of the
//! page. [`testing`] has what the integration tests of all crates share.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod browser;
mod kubernetes;
mod mesh;
mod prometheus;
pub mod promql;
mod redis;
mod request_counts;
pub mod testing;
mod worker;

pub use browser::FakeBrowser;
pub use kubernetes::{FakeKubernetes, StoredWeights};
pub use mesh::{CONNECT_TIMEOUT, FakeMesh, ROUTE_TIMEOUT, WorkerPorts};
pub use prometheus::FakePrometheus;
pub use redis::{FakeRedis, RedisFault, Subscription, serve_redis};
pub use request_counts::RequestCounts;
pub use worker::FakeWorker;
