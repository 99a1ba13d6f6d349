//! `watcher replay`: plays the policy over a recorded load, beside other rules, and says what each would have
//! done and cost.

mod config;
mod history;
mod load;
mod output;
mod rules;
mod saved;

use std::io::Write;

use replay::{Arrivals, Outcome, Player, Signal, Switch};

use config::ArrivalKind;
pub use config::{ReplayCommand, ReplayConfig};
use load::Load;
use output::{Line, PlayedSwitch, Summary};
use rules::NamedRule;

/// Plays the trace once, with all rules at the same time, and prints the result.
///
/// # Errors
/// When the trace cannot be read, with the line and the column, or when nobody reads the output.
pub fn replay(config: &ReplayConfig, out: &mut impl Write) -> anyhow::Result<()> {
    let settings = config.settings()?;
    let mut load = Load::open(config, &settings)?;
    let capacity = config.primary_carries.unwrap_or(settings.policy.capacity.capacity);
    let rules = match config.decisions {
        // The others are not asked for.
        true => vec![NamedRule::as_set(&settings.policy)],
        false => NamedRule::all(&settings.policy),
    };
    let mut runs = Vec::new();
    for signal in config.signals(&settings, load.scrape) {
        for arrivals in config.arrivals() {
            runs.push(Run::new(config, signal, arrivals, &rules, capacity));
        }
    }
    let mut printer = output::Decisions::new(config.output);
    while let Some(requests) = load.next().transpose()? {
        for run in &mut runs {
            let switches = run.play(requests);
            if config.decisions {
                for switch in switches {
                    let time = load.start().map(|start| start + switch.at.as_secs_f64());
                    let (signal, arrivals) = (run.signal, run.arrivals);
                    printer.print(out, &PlayedSwitch { signal, arrivals, time, switch })?;
                }
            }
        }
    }
    if config.decisions {
        return printer.end(out);
    }
    let lines = runs.iter().flat_map(|run| run.lines(&rules)).collect();
    let note = load.note();
    Summary { note, capacity, price: config.price_per_million, lines }.print(config.output, out)
}

/// All rules under one signal and one kind of arrivals.
struct Run {
    signal: Signal,
    arrivals: ArrivalKind,
    draw: Arrivals,
    players: Vec<Player>,
}

impl Run {
    fn new(
        config: &ReplayConfig,
        signal: Signal,
        arrivals: ArrivalKind,
        rules: &[NamedRule],
        capacity: f64,
    ) -> Self {
        let draw = match arrivals {
            ArrivalKind::Even => Arrivals::even(),
            ArrivalKind::Random => Arrivals::random(config.seed),
        };
        let players = rules.iter().map(|named| Player::new(&named.rule, signal, capacity));
        Self { signal, arrivals, draw, players: players.collect() }
    }

    /// Plays a second; all rules have the same requests.
    fn play(&mut self, mean: Option<f64>) -> Vec<Switch> {
        let requests = mean.map(|mean| self.draw.draw(mean));
        self.players.iter_mut().filter_map(|player| player.play(requests)).collect()
    }

    fn lines<'a>(&'a self, rules: &'a [NamedRule]) -> impl Iterator<Item = Line> + 'a {
        let outcomes = self.players.iter().map(Player::outcome);
        rules.iter().zip(outcomes).map(|(named, outcome): (_, Outcome)| Line {
            signal: self.signal,
            arrivals: self.arrivals,
            rule: named.name,
            outcome,
        })
    }
}
