//! Loads of known shapes, for whoever has no recorded one. All last an hour.

use std::{f64::consts::TAU, fmt, str::FromStr};

use crate::Arrivals;

/// The length of a load, in seconds.
const LENGTH: u32 = 3600;

/// The mean time that [`Shape::Mmpp`] stays low, and stays high, in seconds.
const STAYS: [f64; 2] = [120.0, 60.0];

/// The shape of a load, in proportion to what primary can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A third of the capacity; four thirds for 20 minutes; a third.
    Step,
    /// From a third up to twice the capacity, and back, within half an hour each.
    Ramp,
    /// By turns a little above the capacity and a little below two thirds of it, for a minute each: around
    /// both thresholds.
    Square,
    /// A wave of 20 minutes between half and one and a half of the capacity.
    Sine,
    /// A third of the capacity; within ten seconds four times the capacity; then ever fewer.
    FlashCrowd,
    /// Independent visitors at nine tenths of the capacity, so that chance alone is above it now and then.
    Poisson,
    /// Independent visitors, by chance few or many: a Markov-modulated Poisson process with half and one and a
    /// half of the capacity.
    Mmpp,
    /// Half of the capacity, and four times the capacity for three seconds each five minutes: over before
    /// anything can help.
    Spike,
    /// A step, and nothing is known for three minutes at its peak.
    Outage,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 9] = [
        Self::Step,
        Self::Ramp,
        Self::Square,
        Self::Sine,
        Self::FlashCrowd,
        Self::Poisson,
        Self::Mmpp,
        Self::Spike,
        Self::Outage,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Ramp => "ramp",
            Self::Square => "square",
            Self::Sine => "sine",
            Self::FlashCrowd => "flash-crowd",
            Self::Poisson => "poisson",
            Self::Mmpp => "mmpp",
            Self::Spike => "spike",
            Self::Outage => "outage",
        }
    }

    /// The requests of each second; `None` if nobody knows them. Equal seeds make equal loads.
    pub fn seconds(self, capacity: f64, seed: u64) -> impl Iterator<Item = Option<f64>> {
        let mut random = fastrand::Rng::with_seed(seed);
        // Another seed, because both draws must be independent.
        let mut arrivals = Arrivals::random(seed.wrapping_add(1));
        let (mut is_high, mut until) = (false, exponential(&mut random, STAYS[0]));
        (0..LENGTH).map(move |second| {
            let at = f64::from(second);
            while until <= at {
                is_high = !is_high;
                until += exponential(&mut random, STAYS[usize::from(is_high)]);
            }
            let rate = capacity * self.part(at, is_high);
            match self {
                Self::Outage if (1500.0..1680.0).contains(&at) => None,
                Self::Poisson | Self::Mmpp => Some(arrivals.draw(rate)),
                _ => Some(rate),
            }
        })
    }

    /// The part of the capacity at a time, in seconds.
    fn part(self, at: f64, is_high: bool) -> f64 {
        let or = |is_peak: bool, peak: f64, else_part: f64| if is_peak { peak } else { else_part };
        match self {
            Self::Step | Self::Outage => or((1200.0..2400.0).contains(&at), 4.0 / 3.0, 1.0 / 3.0),
            Self::Ramp => 2.0 - (at / 1800.0 - 1.0).abs() * 5.0 / 3.0,
            Self::Square => or(at % 120.0 < 60.0, 1.1, 0.6),
            Self::Sine => 1.0 - 0.5 * (TAU * at / 1200.0).cos(),
            Self::FlashCrowd if at < 600.0 => 1.0 / 3.0,
            Self::FlashCrowd if at < 610.0 => 1.0 / 3.0 + (at - 600.0) / 10.0 * 11.0 / 3.0,
            Self::FlashCrowd => 1.0 / 3.0 + 11.0 / 3.0 * (-(at - 610.0) / 300.0).exp(),
            Self::Poisson => 0.9,
            Self::Mmpp => or(is_high, 1.5, 0.5),
            Self::Spike => or((150.0..153.0).contains(&(at % 300.0)), 4.0, 0.5),
        }
    }
}

fn exponential(random: &mut fastrand::Rng, mean: f64) -> f64 {
    -mean * (1.0 - random.f64()).ln()
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|shape| shape.name() == text);
        found.ok_or_else(|| format!("accepted: {}", Self::ALL.map(Self::name).join(", ")))
    }
}
