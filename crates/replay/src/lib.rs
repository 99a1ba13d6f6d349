//! Plays policies over a recorded load, second by second.
//!
//! A [`Trace`] reads how many requests arrived in each second. A [`Player`] lets one [`Rule`] see them through
//! a [`Signal`], with its delay, and counts what follows: the queue at primary, the requests to burst, the
//! writes. Many players can follow one reading of a trace, so the memory does not grow with its length.

mod arrivals;
mod bins;
mod frontier;
mod outcome;
mod player;
mod rule;
mod shape;
mod signal;
mod trace;

pub use arrivals::{Arrivals, poisson};
pub use bins::{Bins, Merge};
pub use frontier::{Blocks, Comparison, Cost, compare};
pub use outcome::{Outcome, Switch};
pub use player::Player;
pub use rule::Rule;
pub use shape::Shape;
pub use signal::Signal;
pub use trace::{Trace, TraceError};
