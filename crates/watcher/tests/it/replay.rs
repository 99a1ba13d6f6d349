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
        csv.starts_with("signal,arrivals,second,time,from,to,reason,text\nprometheus@5s,even,"),
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
        ("apiVersion: v1\nkind: ConfigMap", "it holds ConfigMap; accepted: one BurstPolicy"),
        (
            "apiVersion: v1\nkind: BurstPolicy\nspec: {route: {name: a}, signal: {series: a}}",
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
fn a_sweep_recommends_one_of_many_settings() {
    let arguments =
        ["--policy=spill", "--signal=callers", "--sweep=capacity=10..20/3,headroom=0.8..1/2"];
    let result = json(&rise(), &arguments);
    let sweep = &result["sweeps"][0];
    assert_eq!(sweep["parameters"], serde_json::json!(["capacity", "spill-headroom"]));
    let points = sweep["points"].as_array().unwrap();
    let values: Vec<_> = points.iter().map(|point| point["values"].to_string()).collect();
    assert_eq!(values[..2], ["[10.0,0.8]", "[10.0,1.0]"]);
    assert_eq!((values.len(), sweep["as_set"].as_u64()), (7, Some(6)), "{values:?}");
    assert_eq!(result["primary_carries"], 15.0, "what primary carries is the same for all");
    let late = |index: usize| points[index]["late_seconds"].as_u64().unwrap();
    assert!(late(0) < late(5), "more capacity than there is makes requests late: {sweep}");
    let knee = sweep["knee"].as_u64().unwrap() as usize;
    assert_eq!(points[knee]["is_on_frontier"], true);
    let text = run(&rise(), &arguments).unwrap();
    let recommended = text.lines().find(|line| line.ends_with("  recommended")).unwrap();
    assert!(recommended.starts_with(points[knee]["values"][0].to_string().trim_end_matches(".0")));
    assert!(text.contains("% of 1000 resamples of the load, in blocks of"), "{text}");
    let csv = run(&rise(), &[&arguments[..], &["--output=csv"]].concat()).unwrap();
    assert!(csv.starts_with("signal,arrivals,capacity,spill-headroom,late_seconds,"), "{csv}");
    assert_eq!(csv.lines().count(), 8);
}

#[test]
fn a_sweep_has_limits() {
    for (policy, sweep, expected) in [
        (
            "spill",
            "capacity=10..30/20,headroom=0.8..0.9/20",
            "--sweep: it has more than 200 settings",
        ),
        ("spill", "capacity=30..10", "accepted for capacity: 0.001 to 1000000, and FROM below TO"),
        ("spill", "headroom=0.1..0.9", "accepted for spill-headroom: 0.5 to 1"),
        ("spill", "headroom=0.8..0.9,headroom=0.8..1", "spill-headroom is there twice"),
        ("spill", "burst-above=1..2", "burst-above is not accepted with POLICY=spill"),
        ("threshold", "capacity=1..2", "capacity is not accepted with POLICY=threshold"),
        (
            "threshold",
            "weight=1..2",
            "accepted: NAME=FROM..TO or NAME=FROM..TO/COUNT, with capacity",
        ),
        ("threshold", "home-below=1..9/1", "accepted as COUNT: 2 to 200"),
        ("threshold", "home-below=20..30", "--sweep: no setting is valid"),
    ] {
        let arguments = [&format!("--policy={policy}"), &format!("--sweep={sweep}")[..]];
        let error = run(&rise(), &arguments).unwrap_err();
        assert!(error.contains(expected), "{sweep}: {error}");
    }
}

#[test]
fn a_report_is_one_small_page_of_all_that_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let report = format!("--report={}", path.display());
    let arguments =
        [&report, "--policy=spill", "--sweep=capacity=10..20/3", "--price-per-million=40"];
    let result = json(&rise(), &arguments);
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["rules"], result["rules"]);
    assert_eq!(data["sweep"], result["sweeps"][0]);
    let series = &data["series"];
    let load = series["load"].as_array().unwrap();
    assert_eq!((load.len() as u64, series["step"].as_u64()), (1500, Some(1)));
    assert_eq!(data["switches"]["total"], data["rules"][0]["writes"]);
    // A name of the load cannot end the element of the data.
    let odd = folder.path().join("<script>.txt");
    std::fs::copy(rise().path(), &odd).unwrap();
    let trace = format!("--trace={}", odd.display());
    let config = from_arguments(&[&trace, &report]).unwrap();
    watcher::replay(&config, &mut Vec::new()).unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("\\u003cscript>.txt") && !page.contains("<script>.txt"));
    let nowhere = format!("--report={}/no/report.html", folder.path().display());
    let error = run(&rise(), &[&nowhere]).unwrap_err();
    assert!(error.starts_with("--report: ") && error.contains("No such file"), "{error}");
    // That is found out, and a sweep refused, before anything is read.
    let missing = "--trace=/nonexistent/load.csv";
    for (argument, expected) in
        [(nowhere.as_str(), "--report: "), ("--sweep=capacity=1..2", "--sweep: capacity")]
    {
        let config = from_arguments(&[missing, argument]).unwrap();
        let error = watcher::replay(&config, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error:#}");
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
