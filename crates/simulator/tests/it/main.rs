//! What the policies must never do, and what they must reach, in the simulator.

mod faults;
mod figures;
mod histories;
mod symmetric;

use std::{sync::Arc, time::Duration};

use contract::Cluster;
use policy::{PolicyKind, Settings, Weights};
use simulator::{Fault, Health, Load, Outcome, Rule, Scenario, play, settings};

const HOME: Weights = Weights::all_to(Cluster::Primary);
const BURST: Weights = Weights::all_to(Cluster::Burst);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A load that rises from 5/s to `rate` for so many seconds, after two minutes, and falls again.
fn rise(rate: f64, length: u64) -> Load {
    Load::even(move |at| if (120..120 + length).contains(&at.as_secs()) { rate } else { 5.0 })
}

/// The phases of the scrapes that are tried.
fn phases(scenario: &Scenario, number: u32) -> impl Iterator<Item = Scenario> {
    (0..number).map(move |phase| Scenario {
        phase: scenario.scrape_every * phase / number,
        ..scenario.clone()
    })
}

fn play_with(arguments: &[&str], scenario: &Scenario) -> Outcome {
    play(scenario, Rule::Watcher(Box::new(settings(arguments))))
}
