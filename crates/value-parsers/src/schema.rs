//! What the schema of a custom resource says of values, as the parsers do for arguments.
//!
//! Each function returns a transformation for `#[schemars(transform = …)]`. Kubernetes answers with
//! the message of a rule that a value breaks.

use schemars::Schema;
use serde_json::{Value, json};

/// The key of the rules in CEL:
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>.
const RULES: &str = "x-kubernetes-validations";

/// The longest text of a duration, in characters. It bounds the cost of the rule.
const MAX_DURATION: u32 = 16;

/// A duration from `shortest` to `longest`.
pub fn durations(shortest: &'static str, longest: &'static str) -> impl Fn(&mut Schema) {
    let rule = format!(
        "self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')"
    );
    move |schema| {
        schema.insert("maxLength".to_owned(), json!(MAX_DURATION));
        let accepted =
            format!("accepted: {shortest} to {longest}, with a unit: ms, s, m or h, such as 90s");
        add_rule(schema, &rule, &accepted);
    }
}

/// A number from `min` to `max`.
pub fn numbers(min: impl Into<Value>, max: impl Into<Value>) -> impl Fn(&mut Schema) {
    let (min, max) = (min.into(), max.into());
    move |schema| {
        schema.insert("minimum".to_owned(), min.clone());
        schema.insert("maximum".to_owned(), max.clone());
    }
}

/// Text that a rule of CEL accepts, with `longest` characters at most. `accepted` says which.
pub fn texts(rule: &'static str, longest: u32, accepted: &'static str) -> impl Fn(&mut Schema) {
    move |schema| {
        schema.insert("maxLength".to_owned(), json!(longest));
        if !rule.is_empty() {
            add_rule(schema, rule, &format!("accepted: {accepted}"));
        }
    }
}

/// A list of one to `most` items, each as `item` says.
pub fn lists(most: u32, item: impl Fn(&mut Schema)) -> impl Fn(&mut Schema) {
    move |schema| {
        schema.insert("minItems".to_owned(), json!(1));
        schema.insert("maxItems".to_owned(), json!(most));
        if let Some(items) = schema.get_mut("items").and_then(|items| items.try_into().ok()) {
            item(items);
        }
    }
}

/// Adds a rule, and what the API server says when an object breaks it.
pub fn add_rule(schema: &mut Schema, rule: &str, message: &str) {
    let rules = schema.ensure_object().entry(RULES).or_insert_with(|| json!([]));
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({ "rule": rule, "message": message }));
    }
}
