//! What the schema of a `BurstPolicy` checks, for a policy that no schema has checked: one of a file, or of a
//! cluster whose definition is older.

use chassis::settings::check_values;
use clap::Parser;
use serde_json::Value;

use super::fields::{FIELDS, with_fields};
use crate::config::{RouteSettings, WatchSettings};

/// The settings of a policy, as flags: they know the ranges.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    _route: RouteSettings,
    #[command(flatten)]
    _watch: WatchSettings,
}

/// Names have other letters in a policy than as flags, and are checked where they are read.
const NAMES: [&str; 4] = ["ROUTE_KIND", "SOURCE", "POLICY", "FALLBACK"];

/// Checks that each value is one that its flag accepts.
///
/// # Errors
/// The field, its value and what is accepted.
pub(super) fn check(spec: &Value) -> Result<(), String> {
    let mut arguments = Vec::new();
    for (variable, field) in FIELDS.iter().filter(|(variable, _)| !NAMES.contains(variable)) {
        let pointer = format!("/{}", field.replace('.', "/"));
        let text = match spec.pointer(&pointer) {
            None | Some(Value::Null | Value::Object(_)) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            Some(other) => other.to_string(),
        };
        arguments.push(format!("--{}={text}", variable.to_lowercase().replace('_', "-")));
    }
    check_values::<Flags>(&arguments).map_err(|error| with_fields(&error))
}

/// Checks that each value is one of a field that there is. An API server removes the others.
///
/// # Errors
/// The first unknown field.
pub(crate) fn check_known(spec: &Value) -> Result<(), String> {
    check_known_below(spec, "")
}

/// Checks a value at the beginning of fields: `capacity.`, and the empty text for all of them.
fn check_known_below(value: &Value, beginning: &str) -> Result<(), String> {
    let name = || format!("spec.{beginning}").trim_end_matches('.').to_owned();
    let Value::Object(members) = value else {
        return Err(format!("{}: {value} is not accepted; accepted: an object", name()));
    };
    members.iter().try_for_each(|(member, value)| {
        let path = format!("{beginning}{member}");
        let below = format!("{path}.");
        match FIELDS.iter().find(|(_, field)| *field == path || field.starts_with(&below)) {
            None => Err(format!("spec.{path}: a BurstPolicy has no such field")),
            Some((_, field)) if *field == path => Ok(()),
            Some(_) => check_known_below(value, &below),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_out_of_the_range_of_its_flag_is_refused() {
        for (spec, says) in [
            (
                json!({ "capacity": { "requestsPerSecond": -5 } }),
                "capacity.requestsPerSecond: \"-5\"",
            ),
            (
                json!({ "interval": "0s" }),
                "interval: \"0s\" is not accepted; accepted: 100ms to 1h",
            ),
            (json!({ "spill": { "headroom": 5 } }), "spill.headroom: \"5\""),
            (json!({ "burst": { "step": 0 } }), "burst.step: \"0\""),
            (json!({ "signal": { "burstClusters": ["a,b", "a b"] } }), "signal.burstClusters"),
        ] {
            let error = check(&spec).expect_err(says);
            assert!(error.starts_with(says), "{error}");
        }
        let spec = json!({
            "route": { "kind": "HTTPRoute", "name": "cart" },
            "signal": { "source": "Callers", "burstClusters": ["east", "west"] },
            "dryRun": true, "policy": "Spill", "guards": { "fallback": "Home", "failover": false },
            "capacity": { "requestsPerSecond": 40.5 }, "spill": { "max": 80 },
        });
        assert_eq!(check(&spec), Ok(()));
    }

    #[test]
    fn a_field_that_there_is_not_is_named() {
        assert_eq!(check_known(&json!({ "route": { "name": "a" }, "dryRun": true })), Ok(()));
        for (spec, path) in [
            (json!({ "spill": { "headrom": 0.5 } }), "spec.spill.headrom"),
            (json!({ "capcity": 5 }), "spec.capcity: a BurstPolicy has no such field"),
            (json!({ "capacity": 5 }), "spec.capacity: 5 is not accepted; accepted: an object"),
            (json!(5), "spec: 5 is not accepted; accepted: an object"),
        ] {
            assert!(check_known(&spec).unwrap_err().starts_with(path));
        }
    }
}
