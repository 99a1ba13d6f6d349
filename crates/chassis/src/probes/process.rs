//! What a process has lost: lines of its log, and connections.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

use crate::{logs, server};

/// Reads the counts of this process.
#[derive(Debug)]
pub(super) struct Losses;

impl Collector for Losses {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut encode = |name, help, count| {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(counter)
        };
        encode(
            "log_lines_lost",
            "Lines of the log that nobody read or that could not be written",
            logs::lost_lines(),
        )?;
        encode(
            "connections_refused",
            "Connections that the server had no room for",
            server::refused_connections(),
        )
    }
}
