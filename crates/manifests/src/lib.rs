//! Tests of the manifests in `k8s/` and `istio/`: `cargo test -p manifests`.
//!
//! This crate has no code except its tests, in `tests/it`. They read each document into its type,
//! and compare the documents with each other and with the settings of the programs.
