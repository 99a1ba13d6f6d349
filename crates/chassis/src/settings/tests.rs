use std::time::Duration;

use value_parsers::{duration, port};

use super::*;

#[derive(Debug, Parser)]
struct TestSettings {
    #[arg(long, env = "CHASSIS_TEST_NEEDED")]
    needed: String,
    #[arg(long, env = "CHASSIS_TEST_PORT", default_value_t = 1, value_parser = port)]
    port: u16,
    #[arg(long, env = "CHASSIS_TEST_WAIT", default_value = "1s", value_parser = duration)]
    wait: Duration,
    #[arg(long, env = "CHASSIS_TEST_SECRET", hide_env_values = true, default_value = "0")]
    secret: u16,
    #[command(flatten)]
    logs: LogSettings,
}

impl Settings for TestSettings {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }
}

#[track_caller]
fn check(arguments: &[&str], expected: &str) {
    let line = from_arguments::<TestSettings>(arguments).unwrap_err();
    assert!(line.contains(expected), "{line} does not say {expected:?}");
    assert_eq!(line.lines().count(), 1, "{line}");
}

#[test]
fn an_error_is_one_line_that_names_the_variable() {
    check(&[], "CHASSIS_TEST_NEEDED: missing");
    check(
        &["--needed=x", "--port=abc"],
        "CHASSIS_TEST_PORT: \"abc\" is not accepted; accepted: a port",
    );
    check(&["--needed=x", "--port=65536"], "CHASSIS_TEST_PORT: \"65536\"");
    check(&["--needed=x", "--port="], "CHASSIS_TEST_PORT: \"\" is not accepted");
    check(&["--needed=x", "--wait=5"], "CHASSIS_TEST_WAIT: \"5\" is not accepted; accepted: a");
    check(&["--needed=x", "--wait=1\n2"], "CHASSIS_TEST_WAIT: \"1\\n2\"");
    check(&["--needed=x", "--log-format=xml"], "LOG_FORMAT: \"xml\" is not accepted");
    check(&["--needed=x", "--rust-log=a=b=c"], "RUST_LOG: \"a=b=c\" is not accepted");
    check(&["--needed=x", "--nonsense"], "--nonsense");
}

#[test]
fn a_value_that_may_be_secret_is_not_repeated() {
    let line = from_arguments::<TestSettings>(&["--needed=x", "--secret=hush"]).unwrap_err();
    assert!(line.starts_with("CHASSIS_TEST_SECRET: its value is not accepted; "), "{line}");
    assert!(!line.contains("hush"), "{line}");
}

#[test]
fn settings_that_are_not_given_have_their_defaults() {
    let settings = from_arguments::<TestSettings>(&["--needed=x"]).unwrap();
    assert_eq!((settings.port, settings.wait), (1, Duration::from_secs(1)));
    assert_eq!((settings.needed.as_str(), settings.secret), ("x", 0));
}
