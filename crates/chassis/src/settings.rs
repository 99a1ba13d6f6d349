//! Settings: a clap struct per program, from its environment, a `.env` file and its arguments.
//!
//! Whatever is wrong with them is said in one line that names the variable, because that line is
//! often all that is left of a pod.

use std::{
    error::Error as _, io::Write as _, ops::RangeInclusive, path::Path, process::ExitCode,
    time::Duration,
};

use clap::{
    Arg, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::logs::LogSettings;

/// The settings of a program.
pub trait Settings: Parser {
    /// How it logs.
    fn logs(&self) -> &LogSettings;

    /// Whether the log begins with the settings: of a service it does, of a command that prints something not.
    fn is_service(&self) -> bool {
        true
    }

    /// Checks what no setting can say for itself, such as which of two is the larger.
    ///
    /// # Errors
    /// A line that names the variables, their values and what is accepted.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Why a program does not start: it was asked for help, or its settings are wrong.
#[derive(Debug)]
pub struct Stop {
    text: String,
    asked_for: bool,
}

impl Stop {
    /// Says so, on standard output if it was asked for; returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.asked_for {
            // A reader that has gone away, as in `--help | head`, is no failure.
            let _ = write!(std::io::stdout(), "{}", self.text);
            ExitCode::SUCCESS
        } else {
            say(&self.text);
            ExitCode::from(2)
        }
    }
}

/// Writes one line to standard error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Reads the settings of this process: arguments first, then the environment, then `.env`.
pub(crate) fn read<C: Settings>() -> Result<C, Stop> {
    read_dotenv(Path::new(".env"))?;
    checked(C::try_parse())
}

/// Reads settings from arguments alone, as a test does.
///
/// # Errors
/// The one line that the program would end with.
pub fn from_arguments<C: Settings>(arguments: &[&str]) -> Result<C, String> {
    let arguments = std::iter::once("test").chain(arguments.iter().copied());
    checked(C::try_parse_from(arguments)).map_err(|stop| stop.text)
}

fn checked<C: Settings>(parsed: Result<C, clap::Error>) -> Result<C, Stop> {
    let settings = parsed.map_err(|error| explain::<C>(&error))?;
    settings.check().map_err(|text| Stop { text, asked_for: false })?;
    Ok(settings)
}

/// Parses a duration with its unit, such as `10s` or `500ms`; zero is `0s`.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "accepted: a time with its unit, such as 500ms, 10s or 5m".to_owned())
}

/// Parses a port; 0 is a free one.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "accepted: a port, 0 to 65535".to_owned())
}

/// Returns a parser of whole numbers in a range. Its error is a sentence that says what is accepted.
pub fn whole_number(
    range: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!("accepted: a whole number, {} to {}", range.start(), range.end())
        })
    }
}

/// Parses a finite number that is not negative.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn not_negative(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && 0.0 <= *number)
        .ok_or_else(|| "accepted: a number, 0 or more".to_owned())
}

fn read_dotenv(path: &Path) -> Result<(), Stop> {
    let wrong = |why: String| Stop { text: format!(".env: {why}"), asked_for: false };
    match dotenvy::from_path(path) {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // The line itself is not repeated: it may hold a secret.
        Err(dotenvy::Error::LineParse(line, _)) => {
            let file = std::fs::read_to_string(path).unwrap_or_default();
            let number = file.lines().position(|it| it.contains(line.trim())).unwrap_or(0) + 1;
            Err(wrong(format!("line {number} is not of the form NAME=value")))
        }
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn explain<C: Settings>(error: &clap::Error) -> Stop {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Stop { text: error.render().to_string(), asked_for: true };
    }
    let mut command = C::command();
    command.build();
    let arg = |usage: &str| command.get_arguments().find(|arg| arg.to_string() == usage);
    let variable = |usage: &str| {
        arg(usage).and_then(Arg::get_env).map_or(usage.to_owned(), |env| env.display().to_string())
    };
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(usage)) => Some(variable(usage)),
        Some(ContextValue::Strings(usages)) => {
            Some(usages.iter().map(|usage| variable(usage)).collect::<Vec<_>>().join(", "))
        }
        _ => None,
    };
    let is_secret = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(usage)) => arg(usage).is_some_and(Arg::is_hide_env_values_set),
        _ => false,
    };
    let value = match error.get(ContextKind::InvalidValue) {
        // It may hold a password, and this line goes to a log.
        _ if is_secret => "its value".to_owned(),
        Some(ContextValue::String(value)) => format!("{value:?}"),
        _ => "\"\"".to_owned(),
    };
    let text = match (named, error.kind()) {
        (Some(named), ErrorKind::MissingRequiredArgument) => {
            format!("{named}: missing; --help says what is accepted")
        }
        (Some(named), ErrorKind::ValueValidation | ErrorKind::InvalidValue) => {
            let accepted = match (error.source(), error.get(ContextKind::ValidValue)) {
                (Some(source), _) => source.to_string().replace('\n', " "),
                (None, Some(valid)) => format!("accepted: {valid}"),
                (None, None) => "it needs a value".to_owned(),
            };
            format!("{named}: {value} is not accepted; {accepted}")
        }
        _ => {
            let rendered = error.render().to_string();
            rendered.lines().next().unwrap_or("wrong arguments").to_owned()
        }
    };
    Stop { text, asked_for: false }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[derive(Debug, Parser)]
    struct Some {
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

    impl Settings for Some {
        fn logs(&self) -> &LogSettings {
            &self.logs
        }
    }

    #[track_caller]
    fn check(arguments: &[&str], expected: &str) {
        let line = from_arguments::<Some>(arguments).unwrap_err();
        assert!(line.contains(expected), "{line} does not say {expected:?}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }

    #[test]
    fn wrong_settings_are_one_line_that_names_the_variable() {
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
        let line = from_arguments::<Some>(&["--needed=x", "--secret=hush"]).unwrap_err();
        assert!(line.starts_with("CHASSIS_TEST_SECRET: its value is not accepted; "), "{line}");
        assert!(!line.contains("hush"), "{line}");
    }

    #[test]
    fn settings_have_defaults() {
        let settings = from_arguments::<Some>(&["--needed=x"]).unwrap();
        assert_eq!((settings.port, settings.wait), (1, Duration::from_secs(1)));
        assert_eq!((settings.needed.as_str(), settings.secret), ("x", 0));
    }

    #[test]
    fn a_malformed_dotenv_is_named_by_its_line_and_not_repeated() {
        let path = std::env::temp_dir().join(format!("chassis-{}.env", std::process::id()));
        fs::write(&path, "# fine\n\nPASSWORD secret\n").unwrap();
        let stop = read_dotenv(&path).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert_eq!(stop.text, ".env: line 3 is not of the form NAME=value");
    }

    #[test]
    fn no_dotenv_is_fine() {
        assert!(read_dotenv(Path::new("no/such/.env")).is_ok());
    }
}
