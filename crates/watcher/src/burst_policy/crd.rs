//! The `CustomResourceDefinition`, which follows from the structs of the settings.

use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

use super::{BurstPolicy, fields::with_fields};

/// The first lines of the file.
const HEADER: &str = "\
# The custom resource BurstPolicy. `watcher crd` prints this file; do not edit it.
";

/// The fields of `spec` that have no default, although the flags of the same settings do: their defaults are
/// those of the workshop.
const WITHOUT_DEFAULT: [&str; 7] = [
    "/route/name",
    "/signal/series",
    "/signal/callersURL",
    "/signal/upSeries",
    "/capacity/requestsPerSecond",
    "/threshold/burstAbove",
    "/threshold/homeBelow",
];

/// What the help of a flag says of several values. A field has a list.
const SEPARATED: &str = ", separated by commas";

/// The file of the `CustomResourceDefinition`, in YAML.
///
/// # Panics
/// When the schema cannot be written, which a test excludes.
#[must_use]
pub fn crd() -> String {
    let mut crd = serde_json::to_value(BurstPolicy::crd()).expect("a definition is JSON");
    let schema = crd
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .expect("a definition has a schema");
    correct(schema);
    HEADER.to_owned() + &serde_saphyr::to_string(&crd).expect("JSON is YAML")
}

/// Makes of the schema of the flags what a custom resource needs.
fn correct(schema: &mut Value) {
    walk(schema);
    let spec = &mut schema["properties"]["spec"];
    for field in WITHOUT_DEFAULT {
        let pointer = field.replace('/', "/properties/");
        // The default of the part that it is in has the field, too.
        let part = pointer.rsplit_once("/properties/").map_or("", |(part, _)| part);
        for pointer in [&pointer, part] {
            if let Some(schema) = spec.pointer_mut(pointer).and_then(Value::as_object_mut) {
                schema.remove("default");
            }
        }
    }
    spec["required"] = json!(["route", "signal"]);
    spec["properties"]["route"]["required"] = json!(["name"]);
    let rule = json!({
        "rule": "has(self.series) || (has(self.query) && self.query != '')",
        "message": "series: it is missing; accepted: series, or query",
    });
    match &mut spec["properties"]["signal"]["x-kubernetes-validations"] {
        Value::Array(rules) => rules.push(rule),
        none => *none = json!([rule]),
    }
}

/// Corrects each part of the schema.
fn walk(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(walk),
        Value::Object(part) => {
            correct_part(part);
            part.values_mut().for_each(walk);
        }
        _ => {}
    }
}

fn correct_part(part: &mut Map<String, Value>) {
    // Kubernetes does not know these formats, and the ranges say the same.
    if matches!(part.get("format"), Some(Value::String(format)) if format.starts_with("uint")) {
        part.remove("format");
    }
    // An absent field is not `null`.
    if part.get("default") == Some(&Value::Null) {
        part.remove("default");
    }
    part.remove("nullable");
    let is_list = part.get("type") == Some(&Value::from("array"));
    let names = part.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(Value::String(text)) = part.get_mut("description") {
        *text = with_fields(&text.replace('`', "").replace('\n', " "));
        if is_list {
            *text = text.replace(SEPARATED, "");
        }
        for name in names.iter().filter_map(Value::as_str) {
            *text = with_name(text, name);
        }
    }
}

/// Writes a name of an `enum`, where it occurs first, as a field must have it: the flags have it in lower case.
fn with_name(text: &str, name: &str) -> String {
    let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
    let is_name =
        |word: &&mut String| word.trim_end_matches([',', ';', ':']).eq_ignore_ascii_case(name);
    if let Some(word) = words.iter_mut().find(is_name) {
        word.replace_range(..name.len(), name);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::{super::fields::FIELDS, *};
    use crate::Config;

    fn spec() -> Value {
        let crd: Value = serde_saphyr::from_str(&crd()).unwrap();
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap().clone()
    }

    fn field<'a>(spec: &'a Value, path: &str) -> &'a Value {
        let pointer: String = path.split('.').map(|part| format!("/properties/{part}")).collect();
        spec.pointer(&pointer).unwrap_or_else(|| panic!("{path} is not in the schema"))
    }

    /// The paths of all fields that have no fields of their own.
    fn leaves(part: &Value, path: &str, found: &mut BTreeSet<String>) {
        let Some(properties) = part.get("properties").and_then(Value::as_object) else {
            found.insert(path.trim_start_matches('.').to_owned());
            return;
        };
        for (name, part) in properties {
            leaves(part, &format!("{path}.{name}"), found);
        }
    }

    #[test]
    fn each_field_is_a_setting_and_has_its_default_and_its_help() {
        let (spec, command) = (spec(), Config::command());
        let mut all = BTreeSet::new();
        leaves(&spec, "", &mut all);
        assert_eq!(all, FIELDS.iter().map(|(_, field)| (*field).to_owned()).collect());
        for (variable, path) in FIELDS {
            let arg =
                command.get_arguments().find(|arg| arg.get_env() == Some((*variable).as_ref()));
            let arg = arg.unwrap_or_else(|| panic!("{variable} is no variable"));
            let field = field(&spec, path);
            let words = |text: &str| with_fields(text).split_whitespace().collect::<String>();
            let help = arg.get_help().unwrap().to_string().replace(SEPARATED, "");
            let mut help = help.replace('`', "").replace('\n', " ");
            let described = field["description"].as_str().unwrap_or_default();
            for name in field["enum"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                help = with_name(&help, name);
                let mut all = described.split(' ').map(|word| word.trim_matches([',', ':']));
                let first = all.find(|word| word.eq_ignore_ascii_case(name));
                assert_eq!(first, Some(name), "{path}: {described:?}");
            }
            assert_eq!(words(&help), words(described), "{path}");
            let without =
                WITHOUT_DEFAULT.contains(&format!("/{}", path.replace('.', "/")).as_str());
            let defaults = arg.get_default_values();
            if let ([default], Some(value), false) = (defaults, field.get("default"), without) {
                let default = default.to_str().unwrap();
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
                    number => number.to_string().trim_end_matches(".0").to_owned(),
                };
                let is_same = text.eq_ignore_ascii_case(default)
                    || value_parsers::duration(&text)
                        .is_ok_and(|value| value_parsers::duration(default) == Ok(value));
                assert!(is_same, "{path}: {text:?} is not {default:?}");
            }
        }
    }

    #[test]
    fn each_range_is_that_of_the_flag() {
        let (spec, command) = (spec(), Config::command());
        let accepts = |variable: &str, value: &str| {
            let arg = command.get_arguments().find(|arg| arg.get_env() == Some(variable.as_ref()));
            let name = arg.unwrap().get_long().unwrap();
            command.clone().try_get_matches_from(["watcher", &format!("--{name}={value}")]).is_ok()
        };
        for (variable, path) in FIELDS {
            let field = field(&spec, path);
            for (bound, beyond) in [("minimum", -0.001), ("maximum", 0.001)] {
                let Some(limit) = field.get(bound).and_then(Value::as_f64) else { continue };
                let is_whole = field["type"] == "integer";
                let beyond = if is_whole { beyond * 1000.0 } else { beyond };
                assert!(accepts(variable, &limit.to_string()), "{path}: {bound}");
                assert!(
                    !accepts(variable, &(limit + beyond).to_string()),
                    "{path}: beyond {bound}"
                );
            }
            let rules = field["x-kubernetes-validations"].as_array();
            let Some(message) = rules.and_then(|rules| rules[0]["message"].as_str()) else {
                continue;
            };
            let range = message
                .strip_prefix("accepted: ")
                .and_then(|text| text.split_once(", with a unit"));
            if let Some((shortest, longest)) = range.and_then(|(range, _)| range.split_once(" to "))
            {
                assert!(accepts(variable, shortest) && accepts(variable, longest), "{path}");
                assert!(!accepts(variable, &format!("{longest}1ms")), "{path}: longer");
                assert!(shortest == "0s" || !accepts(variable, "1ms"), "{path}: shorter");
            }
        }
    }
}
