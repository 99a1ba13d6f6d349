//! `watcher replay`.

use std::io::Write as _;

use chassis::settings::from_arguments;
use serde_json::Value;
use tempfile::NamedTempFile;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Five minutes at 5/s, ten at 20/s, and ten at 5/s.
fn rise() -> NamedTempFile {
    file(
        &[("5\n", 300), ("20\n", 600), ("5\n", 600)]
            .map(|(line, count)| line.repeat(count))
            .concat(),
    )
}

fn run(trace: &NamedTempFile, arguments: &[&str]) -> Result<String, String> {
    let path = format!("--trace={}", trace.path().display());
    let all: Vec<_> = [path.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    let config = from_arguments(&all)?;
    let mut output = Vec::new();
    watcher::replay(&config, &mut output).map_err(|error| format!("{error:#}"))?;
    Ok(String::from_utf8(output).unwrap())
}

fn json(trace: &NamedTempFile, arguments: &[&str]) -> Value {
    let arguments = [&["--output=json"][..], arguments].concat();
    serde_json::from_str(&run(trace, &arguments).unwrap()).unwrap()
}

/// The value of a rule, as the first signal has it.
fn of(result: &Value, rule: &str, field: &str) -> f64 {
    let rules = result["rules"].as_array().unwrap();
    let found = rules.iter().find(|line| line["rule"] == rule).unwrap();
    found[field].as_f64().unwrap()
}

#[test]
fn the_policy_stands_beside_the_others() {
    let text = run(&rise(), &["--price-per-million=40"]).unwrap();
    assert!(
        text.starts_with("1500 s, of which 0 s are unknown; 16500 requests, 11.00/s on"),
        "{text}"
    );
    let rules =
        ["policy as set", "codelab of 2018", "as an HPA", "always burst", "never burst", "oracle"];
    for rule in rules {
        assert!(text.lines().any(|line| line.starts_with(rule)), "{rule}: {text}");
    }
    let result = json(&rise(), &["--price-per-million=40"]);
    assert_eq!(of(&result, "always burst", "cost"), 0.66);
    assert_eq!(of(&result, "oracle", "needed"), 3000.0);
    assert_eq!(of(&result, "policy as set", "to_burst"), of(&result, "threshold", "to_burst"));
    let csv = run(&rise(), &["--output=csv"]).unwrap();
    assert_eq!(csv.lines().count(), 9, "{csv}");
}

#[test]
fn signals_and_arrivals_are_played_side_by_side() {
    let arguments = ["--signal=callers,prometheus@15s", "--arrivals=even,random"];
    let result = json(&rise(), &arguments);
    assert_eq!(result["rules"].as_array().unwrap().len(), 4 * 8);
    let late = |index: usize| result["rules"][index]["late_seconds"].as_f64().unwrap();
    assert!(late(0) < late(16), "callers are quicker: {result}");
}

#[test]
fn decisions_have_their_reasons() {
    let text = run(&rise(), &["--decisions", "--signal=callers"]).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("100/0 to 0/100   all traffic to burst: 20.0/s"), "{text}");
    let json: Value =
        serde_json::from_str(&run(&rise(), &["--decisions", "--output=json"]).unwrap()).unwrap();
    assert_eq!(json[1]["reason"], "RateLow");
    let csv = run(&rise(), &["--decisions", "--output=csv"]).unwrap();
    assert!(
        csv.starts_with("signal,arrivals,second,from,to,reason,text\nprometheus@5s,even,"),
        "{csv}"
    );
    let quiet = file("5\n5\n");
    let text = run(&quiet, &["--decisions"]).unwrap();
    assert_eq!(text, "The policy would have written nothing.\n");
}

#[test]
fn a_policy_can_come_from_its_file() {
    let policy = "apiVersion: burst.istiowatcher.dev/v1alpha1\nkind: BurstPolicy\nmetadata: {name: a, namespace: b}\nspec: {route: {name: a}, signal: {series: a, source: Callers, callersURL: 'http://a/'}, policy: Spill, capacity: {requestsPerSecond: 10}}\n";
    let policy = file(policy);
    let argument = format!("--policy-file={}", policy.path().display());
    let result = json(&rise(), &[&argument]);
    assert_eq!(
        (result["primary_carries"].as_f64(), &result["rules"][0]["signal"]),
        (Some(10.0), &"callers".into())
    );
    assert_eq!(of(&result, "policy as set", "to_burst"), of(&result, "spill", "to_burst"));
    for (text, expected) in [
        ("apiVersion: v1\nkind: ConfigMap", "its kind is ConfigMap; accepted: BurstPolicy"),
        (
            "apiVersion: v1\nkind: BurstPolicy\nspec: {route: {name: a}}",
            "threshold.burstAbove: it is missing",
        ),
        ("a: [", "--policy-file: "),
    ] {
        let bad = file(text);
        let argument = format!("--policy-file={}", bad.path().display());
        let error = run(&rise(), &[&argument]).unwrap_err();
        assert!(error.starts_with("--policy-file: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (arguments, expected) in [
        (&["--signal=proxy"][..], "accepted: callers, or prometheus@SECONDSs"),
        (&["--arrivals=odd"][..], "accepted: even, random"),
        (&["--output=xml"][..], "accepted: text, csv, json"),
        (&["--price-per-million=-1"][..], "accepted: a number, 0 or more"),
        (&["--primary-carries=0"][..], "accepted: a number, 0.001 to 1000000"),
        (&["--home-below=20"][..], "HOME_BELOW: 20 is not accepted"),
    ] {
        let error = run(&rise(), arguments).unwrap_err();
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let error = run(&file("5\n6\n-7\n"), &[]).unwrap_err();
    assert!(
        error.ends_with(
            "line 3, column 1: \"-7\" is not accepted; accepted: a number, 0 to 1000000000"
        ),
        "{error}"
    );
    let error =
        from_arguments::<watcher::ReplayConfig>(&["--trace=/nonexistent/load.csv"]).unwrap();
    let error = watcher::replay(&error, &mut Vec::new()).unwrap_err();
    assert!(
        format!("{error:#}").starts_with("--trace: /nonexistent/load.csv: No such file"),
        "{error:#}"
    );
}
