//! Checks that a manual names what a program has.

use super::http;

/// Checks that a manual has a table row for each setting: `| `NAME` | default | meaning |`. A
/// default that is a query may be described instead.
///
/// # Panics
/// When a row is missing or shows another default.
pub fn check_settings(command: &clap::Command, manual: &str) {
    let settings: Vec<_> =
        command.get_arguments().filter(|argument| argument.get_env().is_some()).collect();
    assert!(settings.len() > 4, "{} has few settings", command.get_name());
    for setting in settings {
        let name = setting.get_env().unwrap().to_str().unwrap();
        let start = format!("| `{name}` | ");
        let row = manual.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("no row starts with {start:?}"));
        let default =
            setting.get_default_values().first().map_or("", |text| text.to_str().unwrap());
        // The manual does not list the libraries whose logs are off.
        let default = default.split(",kube_client").next().unwrap();
        let cell = row[start.len()..].split('|').next().unwrap().trim();
        let is_described = default.starts_with("sum");
        assert!(is_described || cell == default, "{row} does not show the default {default:?}");
    }
}

/// Checks that a manual names every metric of a running program: `` `name… ``.
///
/// # Panics
/// When the program does not answer, or a metric is not named.
pub async fn check_metrics(url: &str, manual: &str) {
    let metrics = http().get(url).send().await.unwrap().text().await.unwrap();
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("# HELP "));
    let names: Vec<_> = lines.map(|line| line.split(' ').next().unwrap()).collect();
    assert!(names.len() > 2, "{metrics}");
    for name in names {
        assert!(manual.contains(&format!("`{name}")), "the manual does not name {name}");
    }
}
