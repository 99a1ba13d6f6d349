//! The default values of settings, which only their clap attributes have.

use clap::{Args, Command};

/// Returns settings of which all have their default values, whatever the environment says.
///
/// # Panics
/// When a setting has no default value and is not optional.
#[must_use]
pub fn of<T: Args>() -> T {
    let command = T::augment_args(Command::new("defaults")).mut_args(|arg| arg.env(None));
    let parsed = command.try_get_matches_from(["defaults"]);
    match parsed.and_then(|matches| T::from_arg_matches(&matches)) {
        Ok(settings) => settings,
        Err(error) => panic!("a setting has no default value: {error}"),
    }
}
