//! `--sweep`: many settings over the same load.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use policy::{PolicyKind, Settings};
use replay::Rule;
use value_parsers::List;

/// The largest number of settings of a sweep.
const MAX_SETTINGS: usize = 200;

/// The number of values of each range, if a sweep has one range, two, three, or more.
const USUAL_VALUES: [usize; 4] = [21, 9, 5, 3];

/// A setting that a sweep can change.
#[derive(Debug)]
struct Parameter {
    /// The name of the flag.
    name: &'static str,
    range: RangeInclusive<f64>,
    /// The only policy that uses it.
    policy: PolicyKind,
    set: fn(&mut Settings, f64),
    /// Its value; `None` if the policy chooses it.
    get: fn(&Settings) -> Option<f64>,
}

const PARAMETERS: [Parameter; 7] = [
    Parameter {
        name: "capacity",
        range: 0.001..=1e6,
        policy: PolicyKind::Spill,
        set: |settings, value| settings.capacity.capacity = value,
        get: |settings| Some(settings.capacity.capacity),
    },
    Parameter {
        name: "spill-headroom",
        range: 0.5..=1.0,
        policy: PolicyKind::Spill,
        set: |settings, value| settings.spill.spill_headroom = value,
        get: |settings| Some(settings.spill.spill_headroom),
    },
    Parameter {
        name: "spill-tolerance",
        range: 1.0..=50.0,
        policy: PolicyKind::Spill,
        set: |settings, value| settings.spill.spill_tolerance = value.round() as u32,
        get: |settings| Some(f64::from(settings.spill.spill_tolerance)),
    },
    Parameter {
        name: "spill-stabilization-window",
        range: 1.0..=600.0,
        policy: PolicyKind::Spill,
        set: |settings, value| {
            settings.spill.spill_stabilization_window = Some(Duration::from_secs_f64(value));
        },
        get: |settings| {
            settings.spill.spill_stabilization_window.map(|window| window.as_secs_f64())
        },
    },
    Parameter {
        name: "burst-above",
        range: 0.0..=1e6,
        policy: PolicyKind::Threshold,
        set: |settings, value| settings.threshold.burst_above = value,
        get: |settings| Some(settings.threshold.burst_above),
    },
    Parameter {
        name: "home-below",
        range: 0.0..=1e6,
        policy: PolicyKind::Threshold,
        set: |settings, value| settings.threshold.home_below = value,
        get: |settings| Some(settings.threshold.home_below),
    },
    Parameter {
        name: "home-hold",
        range: 0.0..=600.0,
        policy: PolicyKind::Threshold,
        set: |settings, value| settings.threshold.home_hold = Duration::from_secs_f64(value),
        get: |settings| Some(settings.threshold.home_hold.as_secs_f64()),
    },
];

/// The values of one setting: `capacity=10..30`, or `capacity=10..30/5` for five of them.
#[derive(Clone, Copy, Debug)]
pub struct SweepRange {
    parameter: &'static Parameter,
    from: f64,
    to: f64,
    /// The number of values, if it is given.
    count: Option<usize>,
}

impl FromStr for SweepRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || PARAMETERS.iter().map(|parameter| parameter.name).collect::<Vec<_>>();
        let accepted = || {
            format!("accepted: NAME=FROM..TO or NAME=FROM..TO/COUNT, with {}", names().join(", "))
        };
        let (name, range) = text.split_once('=').ok_or_else(accepted)?;
        let is_meant = |parameter: &&Parameter| {
            parameter.name == name || parameter.name.strip_prefix("spill-") == Some(name)
        };
        let parameter = PARAMETERS.iter().find(is_meant).ok_or_else(accepted)?;
        let (range, count) = match range.split_once('/') {
            Some((range, count)) => (range, Some(count.parse().map_err(|_| accepted())?)),
            None => (range, None),
        };
        let (from, to) = range.split_once("..").ok_or_else(accepted)?;
        let number = |text: &str| text.parse::<f64>().map_err(|_| accepted());
        let (from, to) = (number(from)?, number(to)?);
        let is_within = |value| parameter.range.contains(value);
        if !(from < to && is_within(&from) && is_within(&to)) {
            let (least, most) = (parameter.range.start(), parameter.range.end());
            return Err(format!(
                "accepted for {}: {least} to {most}, and FROM below TO",
                parameter.name
            ));
        }
        if count.is_some_and(|count| !(2..=MAX_SETTINGS).contains(&count)) {
            return Err(format!("accepted as COUNT: 2 to {MAX_SETTINGS}"));
        }
        Ok(Self { parameter, from, to, count })
    }
}

impl SweepRange {
    fn values(&self, usual: usize) -> Vec<f64> {
        let count = self.count.unwrap_or(usual);
        let part = |index: usize| index as f64 / (count - 1) as f64;
        // A value with more digits than anyone would set is hard to read.
        let rounded = |value: f64| format!("{value:.4}").parse().unwrap_or(value);
        (0..count).map(|index| rounded(self.from + (self.to - self.from) * part(index))).collect()
    }
}

impl fmt::Display for SweepRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parameter.name)
    }
}

/// The settings of a sweep.
pub(super) struct Grid {
    /// The names of the settings that differ.
    pub(super) parameters: Vec<&'static str>,
    pub(super) settings: Vec<GridPoint>,
    /// Which of them is the policy as set.
    pub(super) as_set: usize,
}

/// One of the settings.
pub(super) struct GridPoint {
    /// The value of each parameter; `None` if the policy chooses it.
    pub(super) values: Vec<Option<f64>>,
    pub(super) rule: Rule,
}

impl Grid {
    /// All combinations of the ranges, and the policy as set.
    ///
    /// # Errors
    /// When the policy does not use a parameter, or the combinations are too many, or none is valid.
    pub(super) fn new(ranges: &List<SweepRange>, base: &Settings) -> anyhow::Result<Self> {
        let parameters: Vec<_> = ranges.iter().map(|range| range.parameter).collect();
        for (index, parameter) in parameters.iter().enumerate() {
            let name = parameter.name;
            anyhow::ensure!(
                parameter.policy == base.policy,
                "--sweep: {name} is not accepted with POLICY={}; accepted: POLICY={}",
                base.policy,
                parameter.policy
            );
            let is_twice = parameters[..index].iter().any(|other| other.name == name);
            anyhow::ensure!(!is_twice, "--sweep: {name} is there twice; accepted: once");
        }
        let usual = USUAL_VALUES[(ranges.len() - 1).min(USUAL_VALUES.len() - 1)];
        let mut all = vec![Vec::new()];
        for range in ranges.iter() {
            let values = range.values(usual);
            let with = |before: &Vec<f64>| {
                let before = before.clone();
                values
                    .iter()
                    .map(move |value| [before.as_slice(), &[*value]].concat())
                    .collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
            anyhow::ensure!(
                all.len() <= MAX_SETTINGS,
                "--sweep: it has more than {MAX_SETTINGS} settings; accepted: fewer values, as in {range}={}..{}/5",
                range.from,
                range.to
            );
        }
        let point = |values: Vec<f64>| {
            let mut settings = base.clone();
            parameters.iter().zip(&values).for_each(|(parameter, value)| {
                (parameter.set)(&mut settings, *value);
            });
            settings.validate().ok()?;
            let rule = Rule::Watcher(Box::new(settings));
            Some(GridPoint { values: values.into_iter().map(Some).collect(), rule })
        };
        let mut settings: Vec<_> = all.into_iter().filter_map(point).collect();
        anyhow::ensure!(
            !settings.is_empty(),
            "--sweep: no setting is valid; accepted: home-below up to burst-above"
        );
        let values: Vec<_> = parameters.iter().map(|parameter| (parameter.get)(base)).collect();
        let as_set = settings.iter().position(|point| point.values == values);
        let as_set = as_set.unwrap_or_else(|| {
            settings.push(GridPoint { values, rule: Rule::Watcher(Box::new(base.clone())) });
            settings.len() - 1
        });
        let parameters = parameters.iter().map(|parameter| parameter.name).collect();
        Ok(Self { parameters, settings, as_set })
    }
}
