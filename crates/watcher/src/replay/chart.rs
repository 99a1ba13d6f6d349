//! What a report draws: the load and the queue in a limited number of bins, and the switches.

use replay::{Bins, Merge, Outcome, Player, Switch};
use serde_json::{Value, json};

use super::output::percentages;

/// Half of the largest number of bins: five minutes each in a week.
const BIN_PAIRS: usize = 1008;

/// The largest number of switches in a report.
const MAX_SWITCHES: usize = 2000;

/// What the report draws of one rule.
pub(super) struct Chart {
    bins: Bins<Bin>,
    switches: Vec<Switch>,
    /// The number of all switches.
    total: u64,
}

/// A part of the time.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    /// The seconds whose requests are known.
    known: u32,
    requests: f64,
    most_requests: f64,
    to_burst: f64,
    longest_wait: f64,
}

impl Merge for Bin {
    fn merge(&mut self, later: &Self) {
        self.known += later.known;
        self.requests += later.requests;
        self.most_requests = self.most_requests.max(later.most_requests);
        self.to_burst += later.to_burst;
        self.longest_wait = self.longest_wait.max(later.longest_wait);
    }
}

impl Chart {
    pub(super) fn new() -> Self {
        Self { bins: Bins::new(BIN_PAIRS), switches: Vec::new(), total: 0 }
    }

    /// Records a second: its requests, the outcome before it, and the player after it.
    pub(super) fn record(
        &mut self,
        requests: Option<f64>,
        before: &Outcome,
        player: &Player,
        switch: Option<&Switch>,
    ) {
        let second = requests.map_or_else(Bin::default, |requests| Bin {
            known: 1,
            requests,
            most_requests: requests,
            to_burst: player.outcome().to_burst - before.to_burst,
            longest_wait: player.wait(),
        });
        self.bins.push(second);
        if let Some(switch) = switch {
            self.total += 1;
            if self.switches.len() < MAX_SWITCHES {
                self.switches.push(switch.clone());
            }
        }
    }

    /// The series, as the report's script reads them. Nothing is known where a value is null.
    pub(super) fn series(&self) -> Value {
        let values = |value: fn(&Bin) -> f64| -> Vec<_> {
            let known = |bin: &Bin| (0 < bin.known).then(|| rounded(value(bin)));
            self.bins.bins().iter().map(known).collect()
        };
        json!({
            "step": self.bins.step(),
            "load": values(|bin| bin.requests / f64::from(bin.known)),
            "load_max": values(|bin| bin.most_requests),
            "to_burst": values(|bin| bin.to_burst / f64::from(bin.known)),
            "wait_max": values(|bin| bin.longest_wait),
        })
    }

    /// The switches, as the report's script reads them.
    pub(super) fn switches(&self) -> Value {
        let switch = |Switch { at, from, to, reason, text }: &Switch| {
            let [from, to] = [*from, *to].map(percentages);
            json!({"second": at.as_secs(), "from": from, "to": to, "reason": reason, "text": text})
        };
        let list: Vec<_> = self.switches.iter().map(switch).collect();
        json!({"total": self.total, "list": list})
    }
}

/// Two digits are as many as a chart shows.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
