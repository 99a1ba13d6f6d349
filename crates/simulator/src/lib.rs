//! Plays the policies in virtual time against a model of the whole loop.
//!
//! [`load`] makes requests, evenly, at random, or from a trace of real arrivals. [`clusters`] answers
//! them: primary has a queue, and either cluster can fail. [`prometheus`] scrapes the mesh's counters,
//! and can be away, late, or wrong. [`play()`] lets a [`Rule`] observe and decide once a second, and
//! writes its weights through an API server that can be slow or refuse.

mod clusters;
mod load;
mod outcome;
mod play;
mod prometheus;
mod rule;
mod scenario;

use clap::Parser;
use policy::Settings;

pub use clusters::Health;
pub use load::{Load, Trace};
pub use outcome::{Medians, Outcome};
pub use play::{play, play_pair};
pub use prometheus::Fault;
pub use rule::Rule;
pub use scenario::{Scenario, WriteAnswer};

/// Parses the settings of the policy from arguments, as the watcher does.
///
/// # Panics
/// When the arguments are not accepted.
#[must_use]
pub fn settings(arguments: &[&str]) -> Settings {
    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        settings: Settings,
    }
    let arguments = ["simulator"].iter().chain(arguments);
    Arguments::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}")).settings
}
