//! Turns an error of clap into one line: the variable, its value, and what is accepted.

use std::error::Error as _;

use clap::{
    Arg, Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// Returns the line for an error of this command.
pub(super) fn describe(error: &Error, mut command: Command) -> String {
    command.build();
    match (names(error, &command), error.kind()) {
        (Some(names), ErrorKind::MissingRequiredArgument) => {
            format!("{names}: missing; --help says what is accepted")
        }
        (Some(names), ErrorKind::ValueValidation | ErrorKind::InvalidValue) => {
            let value = value(error, &command);
            format!("{names}: {value} is not accepted; {}", accepted(error))
        }
        _ => {
            let text = error.render().to_string();
            text.lines().next().unwrap_or("wrong arguments").to_owned()
        }
    }
}

/// The variables of the arguments that the error is about, or the arguments that have no variable.
fn names(error: &Error, command: &Command) -> Option<String> {
    let name = |usage: &str| {
        let variable = argument(command, usage).and_then(Arg::get_env);
        variable.map_or(usage.to_owned(), |variable| variable.display().to_string())
    };
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(usage) => Some(name(usage)),
        ContextValue::Strings(usages) => {
            Some(usages.iter().map(|usage| name(usage)).collect::<Vec<_>>().join(", "))
        }
        _ => None,
    }
}

/// The value, quoted. A value that may hold a password is not repeated, because the line may go to
/// a log.
fn value(error: &Error, command: &Command) -> String {
    let is_secret = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(usage)) => {
            argument(command, usage).is_some_and(Arg::is_hide_env_values_set)
        }
        _ => false,
    };
    match error.get(ContextKind::InvalidValue) {
        _ if is_secret => "its value".to_owned(),
        Some(ContextValue::String(value)) => format!("{value:?}"),
        _ => "\"\"".to_owned(),
    }
}

fn accepted(error: &Error) -> String {
    match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string().replace('\n', " "),
        (None, Some(valid)) => format!("accepted: {valid}"),
        (None, None) => "it needs a value".to_owned(),
    }
}

/// The argument that clap shows by this usage.
fn argument<'a>(command: &'a Command, usage: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|argument| argument.to_string() == usage)
}
