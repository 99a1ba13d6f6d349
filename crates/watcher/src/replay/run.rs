//! All rules and settings under one signal and one kind of arrivals.

use replay::{Arrivals, Blocks, Cost, Outcome, Player, Signal, Switch};

use super::{
    chart::Chart,
    config::{ArrivalKind, ReplayConfig},
    rules::NamedRule,
    sweep::Grid,
};

/// All rules and settings under one signal and one kind of arrivals.
pub(super) struct Run {
    pub(super) signal: Signal,
    pub(super) arrivals: ArrivalKind,
    draw: Arrivals,
    /// One for each rule. The first is the policy as set.
    players: Vec<Player>,
    /// One for each setting of the sweep.
    pub(super) swept: Vec<Swept>,
    /// What the report draws of the policy as set.
    pub(super) chart: Option<Chart>,
}

/// A setting of a sweep.
pub(super) struct Swept {
    player: Player,
    pub(super) blocks: Blocks,
}

impl Run {
    pub(super) fn new(
        config: &ReplayConfig,
        (signal, arrivals): (Signal, ArrivalKind),
        rules: &[NamedRule],
        grid: Option<&Grid>,
        capacity: f64,
    ) -> Self {
        let draw = match arrivals {
            ArrivalKind::Even => Arrivals::even(),
            ArrivalKind::Random => Arrivals::random(config.seed),
        };
        let players = rules.iter().map(|named| Player::new(&named.rule, signal, capacity));
        let swept = grid.iter().flat_map(|grid| &grid.settings).map(|point| Swept {
            player: Player::new(&point.rule, signal, capacity),
            blocks: Blocks::default(),
        });
        Self {
            signal,
            arrivals,
            draw,
            players: players.collect(),
            swept: swept.collect(),
            chart: None,
        }
    }

    /// Plays a second; all rules have the same requests. Returns the write of the policy as set.
    pub(super) fn play(&mut self, mean: Option<f64>) -> Option<Switch> {
        let requests = mean.map(|mean| self.draw.draw(mean));
        for swept in &mut self.swept {
            swept.play(requests);
        }
        let mut players = self.players.iter_mut();
        let as_set = players.next()?;
        let before = as_set.outcome();
        let switch = as_set.play(requests);
        for player in players {
            player.play(requests);
        }
        if let Some(chart) = &mut self.chart {
            chart.record(requests, &before, as_set, switch.as_ref());
        }
        switch
    }

    /// What became of the load, for each rule.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.players.iter().map(Player::outcome)
    }
}

impl Swept {
    fn play(&mut self, requests: Option<f64>) {
        let before = self.player.outcome();
        self.player.play(requests);
        let now = self.player.outcome();
        self.blocks.push(Cost {
            late: (now.late_seconds - before.late_seconds) as f64,
            to_burst: now.to_burst - before.to_burst,
        });
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.player.outcome()
    }
}
