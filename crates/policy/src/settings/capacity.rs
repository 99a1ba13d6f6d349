//! The settings of primary's capacity.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use value_parsers::{
    OBJECT_NAME, OBJECT_NAME_RULE, defaults, not_empty, number, object_name,
    schema::{add_rule, numbers, texts},
};

/// What primary can carry.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(transform = |schema: &mut _| add_rule(
    schema,
    "!has(self.service) || !has(self.query)",
    "service, query: both are given; accepted: one of them"
))]
pub struct CapacitySettings {
    /// Spill: the requests per second that primary can carry, 0.001 to 1000000. With `CAPACITY_SERVICE`: those
    /// that each of its ready endpoints can carry
    #[arg(long, env = "CAPACITY", default_value_t = 15.0, value_parser = number(0.001..=1_000_000.0))]
    #[serde(rename = "requestsPerSecond")]
    #[schemars(transform = numbers(0.001, 1_000_000))]
    pub capacity: f64,

    /// The Service of the workers in primary, in the namespace of the route. Capacity is then `CAPACITY` for
    /// each of its ready endpoints, and `BURST_ABOVE` and `HOME_BELOW` are for each of them, too
    #[arg(long, env = "CAPACITY_SERVICE", value_parser = object_name, conflicts_with = "capacity_query")]
    #[serde(rename = "service", skip_serializing_if = "Option::is_none")]
    #[schemars(transform = texts(OBJECT_NAME_RULE, 253, OBJECT_NAME))]
    pub capacity_service: Option<String>,

    /// A PromQL query for the requests per second that primary can carry now. `BURST_ABOVE` and `HOME_BELOW` are
    /// for a capacity of `CAPACITY`, and change in proportion
    #[arg(long, env = "CAPACITY_QUERY", value_parser = not_empty)]
    #[serde(rename = "query", skip_serializing_if = "Option::is_none")]
    #[schemars(transform = texts("size(self) > 0", 4096, "a PromQL query"))]
    pub capacity_query: Option<String>,
}

impl CapacitySettings {
    /// Whether capacity is not a number, but something that is observed again and again.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.capacity_service.is_some() || self.capacity_query.is_some()
    }
}

impl Default for CapacitySettings {
    fn default() -> Self {
        defaults::of()
    }
}
