//! `watcher replay`: plays the policy over a recorded load, beside other rules, and says what each would have
//! done and cost.

mod config;
mod output;
mod rules;

use std::{
    fs::File,
    io::{BufReader, Write},
};

use anyhow::Context as _;
use replay::{Arrivals, Outcome, Player, Signal, Switch, Trace};

use config::ArrivalKind;
pub use config::{ReplayCommand, ReplayConfig};
use output::{Line, Summary};
use rules::NamedRule;

/// Plays the trace once, with all rules at the same time, and prints the result.
///
/// # Errors
/// When the trace cannot be read, with the line and the column, or when nobody reads the output.
pub fn replay(config: &ReplayConfig, out: &mut impl Write) -> anyhow::Result<()> {
    let path = config.trace.display();
    let file = File::open(&config.trace).with_context(|| format!("--trace: {path}"))?;
    let settings = config.settings()?;
    let capacity = config.primary_carries.unwrap_or(settings.policy.capacity.capacity);
    let rules = match config.decisions {
        // The others are not asked for.
        true => vec![NamedRule::as_set(&settings.policy)],
        false => NamedRule::all(&settings.policy),
    };
    let mut runs = Vec::new();
    for signal in config.signals(&settings) {
        for arrivals in config.arrivals.iter().copied() {
            runs.push(Run::new(config, signal, arrivals, &rules, capacity));
        }
    }
    let mut printer = output::Decisions::new(config.output);
    let trace = Trace::new(BufReader::with_capacity(1 << 20, file));
    for second in trace {
        let requests = second.with_context(|| format!("--trace: {path}"))?;
        for run in &mut runs {
            let switches = run.play(requests);
            if config.decisions {
                for switch in switches {
                    printer.print(out, run.signal, run.arrivals, &switch)?;
                }
            }
        }
    }
    if config.decisions {
        return printer.end(out);
    }
    let lines = runs.iter().flat_map(|run| run.lines(&rules)).collect();
    Summary { capacity, price: config.price_per_million, lines }.print(config.output, out)
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
