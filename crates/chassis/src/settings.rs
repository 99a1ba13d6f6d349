//! Settings: a clap struct for each program, read from its arguments, the environment and `.env`.
//!
//! Each error is one line that names the variable, because that line is often all that a failed pod
//! leaves.

mod dotenv;
mod error_line;
#[cfg(test)]
mod tests;

use std::{io::Write as _, path::Path, process::ExitCode};

use clap::{Arg, Command, CommandFactory, Parser, error::ErrorKind};

use crate::logs::{self, LogSettings};

/// The settings of a program.
pub trait Settings: Parser {
    /// The settings of the program's log.
    fn logs(&self) -> &LogSettings;

    /// Whether the program is a service, whose log begins with its settings.
    fn is_service(&self) -> bool {
        true
    }

    /// Checks the settings against one another, such as which of two is the larger.
    ///
    /// # Errors
    /// A line that names the variables, their values and what is accepted.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Why a program ends before it starts: it prints its help, or its settings are wrong.
#[derive(Debug)]
pub(crate) struct Exit {
    text: String,
    is_error: bool,
}

impl Exit {
    fn error(text: String) -> Self {
        Self { text, is_error: true }
    }

    /// Prints the text, an error to standard error; returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.is_error {
            logs::print_line(&self.text);
            return ExitCode::from(2);
        }
        // A reader that has gone, as in `--help | head`, is no failure.
        let _ = write!(std::io::stdout(), "{}", self.text);
        ExitCode::SUCCESS
    }
}

/// Reads the settings of this process. Arguments come before the environment, and the environment
/// before `.env`.
pub(crate) fn read<C: Settings>() -> Result<C, Exit> {
    let dotenv = dotenv::read(Path::new(".env"));
    let command = without_empty_variables(C::command()).after_help(RULES);
    let parsed = command.try_get_matches().and_then(|matches| C::from_arg_matches(&matches));
    let is_help = parsed.as_ref().is_err_and(|error| !error.use_stderr());
    match dotenv {
        Err(reason) if !is_help => Err(Exit::error(format!(".env: {reason}"))),
        _ => validate(parsed),
    }
}

/// What holds for all settings.
const RULES: &str = "\
An argument comes before a variable, and a variable before a line of the file .env.
An empty variable stands for the default. In a list, spaces and empty items do not count.
In .env, a value with a $ stands between single quotes.
For https:// and rediss://, SSL_CERT_FILE and SSL_CERT_DIR name the trusted certificates.";

#[expect(clippy::disallowed_methods, reason = "this looks before clap reads the settings")]
/// Makes a variable that is empty or blank an unset one: a manifest with an empty `value` means that.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.to_str().is_some_and(|text| text.trim().is_empty()))
    };
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(None) } else { arg })
        .mut_subcommands(without_empty_variables)
}

/// Reads settings from arguments only, for a test.
///
/// # Errors
/// The line that the program would print.
pub fn from_arguments<C: Settings>(arguments: &[&str]) -> Result<C, String> {
    let arguments = std::iter::once("test").chain(arguments.iter().copied());
    validate(C::try_parse_from(arguments)).map_err(|exit| exit.text)
}

/// Checks the values of arguments, without the environment and without what is checked of several together.
///
/// # Errors
/// A line that names the variable, its value and what is accepted.
pub fn check_values<C: CommandFactory>(arguments: &[String]) -> Result<(), String> {
    let name = std::iter::once("check");
    let arguments = name.chain(arguments.iter().map(String::as_str));
    let command = C::command().mut_args(|arg| arg.env(None));
    let parsed = command.try_get_matches_from(arguments);
    parsed.map(|_| ()).map_err(|error| error_line::describe(&error, C::command()))
}

fn validate<C: Settings>(parsed: Result<C, clap::Error>) -> Result<C, Exit> {
    let settings = parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Exit { text: error.render().to_string(), is_error: false }
        }
        _ => Exit::error(error_line::describe(&error, C::command())),
    })?;
    settings.validate().map_err(Exit::error)?;
    Ok(settings)
}
