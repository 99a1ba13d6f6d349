//! Which settings cost least for what they achieve, and how sure that is.

use crate::bins::{Bins, Merge};

/// The resamples of a load. With a thousand, a share has a standard error of at most 1.6 %.
const RESAMPLES: usize = 1000;

/// The seed of the resamples.
const SEED: u64 = 1;

/// Half of the largest number of blocks.
const BLOCK_PAIRS: usize = 168;

/// The part of the resamples that an interval covers, as the ranks of its ends.
const INTERVAL: [f64; 2] = [0.05, 0.95];

/// What a setting costs, and what it leaves undone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// The late seconds.
    pub late: f64,
    /// The requests to burst.
    pub to_burst: f64,
}

impl Merge for Cost {
    fn merge(&mut self, later: &Self) {
        self.late += later.late;
        self.to_burst += later.to_burst;
    }
}

/// The costs of one setting, block by block.
#[derive(Clone, Debug)]
pub struct Blocks(Bins<Cost>);

impl Default for Blocks {
    fn default() -> Self {
        Self(Bins::new(BLOCK_PAIRS))
    }
}

impl Blocks {
    /// Adds a second.
    pub fn push(&mut self, second: Cost) {
        self.0.push(second);
    }

    /// The length of a block, in seconds.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.0.step()
    }

    fn total(&self, indices: impl Iterator<Item = usize>) -> Cost {
        indices.filter_map(|index| self.0.bins().get(index)).fold(
            Cost::default(),
            |mut sum, block| {
                sum.merge(block);
                sum
            },
        )
    }
}

/// What a comparison of settings shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The settings that no other one beats in both costs, from the fewest requests to burst on.
    pub frontier: Vec<usize>,
    /// The setting at the bend of the frontier.
    pub knee: usize,
    /// How often each setting is at the bend when the load is resampled, 0 to 1.
    pub knee_shares: Vec<f64>,
    /// Where nine in ten resamples lie, for each setting: the low and the high end of both costs.
    pub intervals: Vec<[Cost; 2]>,
}

/// Compares settings that were played over the same load; `None` without one.
///
/// The load is resampled in blocks (Künsch 1989), so that what belongs together stays together: each resample
/// draws as many blocks as there are, and all settings have the same ones.
#[must_use]
pub fn compare(settings: &[Blocks]) -> Option<Comparison> {
    let count = settings.first()?.0.bins().len();
    let costs: Vec<_> = settings.iter().map(|blocks| blocks.total(0..count)).collect();
    let frontier = frontier(&costs);
    let knee = knee(&costs, &frontier)?;
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut knees = vec![0_u32; settings.len()];
    let mut resampled = vec![Vec::with_capacity(RESAMPLES); settings.len()];
    for _ in 0..RESAMPLES {
        let drawn: Vec<_> = (0..count).map(|_| random.usize(0..count)).collect();
        let costs: Vec<_> =
            settings.iter().map(|blocks| blocks.total(drawn.iter().copied())).collect();
        if let Some(knee) = self::knee(&costs, &self::frontier(&costs)) {
            knees[knee] += 1;
        }
        for (all, cost) in resampled.iter_mut().zip(costs) {
            all.push(cost);
        }
    }
    let knee_shares = knees.iter().map(|count| f64::from(*count) / RESAMPLES as f64).collect();
    let intervals = resampled.iter().map(|costs| interval(costs)).collect();
    Some(Comparison { frontier, knee, knee_shares, intervals })
}

/// The settings that no other one beats, from the fewest requests to burst on. Of equal ones, the first.
fn frontier(costs: &[Cost]) -> Vec<usize> {
    let mut order: Vec<_> = (0..costs.len()).collect();
    order.sort_by(|one, other| {
        let (one, other) = (&costs[*one], &costs[*other]);
        one.to_burst.total_cmp(&other.to_burst).then(one.late.total_cmp(&other.late))
    });
    let mut fewest = f64::INFINITY;
    order.retain(|index| {
        let is_better = costs[*index].late < fewest;
        fewest = fewest.min(costs[*index].late);
        is_better
    });
    order
}

/// The point of the frontier that is farthest below the line between its ends, both costs scaled to 0 to 1
/// (Satopää et al. 2011, "Finding a Kneedle in a Haystack"). Of two points, the one that is less late.
fn knee(costs: &[Cost], frontier: &[usize]) -> Option<usize> {
    let (first, last) = (costs[*frontier.first()?], costs[*frontier.last()?]);
    let (width, height) = (last.to_burst - first.to_burst, first.late - last.late);
    let depth = |index: &usize| {
        let cost = costs[*index];
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        1.0 - (cost.to_burst - first.to_burst) / width - (cost.late - last.late) / height
    };
    let deepest = frontier.iter().max_by(|one, other| depth(one).total_cmp(&depth(other)));
    deepest.copied()
}

fn interval(costs: &[Cost]) -> [Cost; 2] {
    let ends = |cost: fn(&Cost) -> f64| {
        let mut values: Vec<_> = costs.iter().map(cost).collect();
        values.sort_unstable_by(f64::total_cmp);
        INTERVAL.map(|rank| values[((values.len() - 1) as f64 * rank).round() as usize])
    };
    let ([late_low, late_high], [low, high]) = (ends(|cost| cost.late), ends(|cost| cost.to_burst));
    [Cost { late: late_low, to_burst: low }, Cost { late: late_high, to_burst: high }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(late: f64, to_burst: f64) -> Cost {
        Cost { late, to_burst }
    }

    #[test]
    fn the_frontier_leaves_out_what_another_setting_beats() {
        let costs =
            [cost(9.0, 1.0), cost(4.0, 2.0), cost(5.0, 3.0), cost(4.0, 2.0), cost(0.0, 9.0)];
        assert_eq!(frontier(&costs), [0, 1, 4]);
        assert_eq!(knee(&costs, &frontier(&costs)), Some(1));
        assert_eq!(frontier(&[]), [0_usize; 0]);
        assert_eq!(knee(&[], &[]), None);
        assert_eq!(knee(&costs, &[2]), Some(2));
        assert_eq!(knee(&costs, &[0, 4]), Some(4), "of two, the one that is less late");
    }

    #[test]
    fn an_even_load_leaves_no_doubt_and_a_rare_event_does() {
        let settings = |late: fn(usize) -> [f64; 3]| {
            let mut settings = vec![Blocks::default(); 3];
            for second in 0..BLOCK_PAIRS * 2 {
                let late = late(second);
                for (index, blocks) in settings.iter_mut().enumerate() {
                    blocks.push(cost(late[index], [0.0, 1.0, 10.0][index]));
                }
            }
            settings
        };
        let even = compare(&settings(|_| [1.0, 0.1, 0.0])).unwrap();
        assert_eq!((even.knee, &even.knee_shares[..]), (1, &[0.0, 1.0, 0.0][..]));
        assert_eq!(even.intervals[0][0], even.intervals[0][1]);
        let rare = compare(&settings(|second| {
            let is_rare = second == 7;
            [1.0, if is_rare { 300.0 } else { 0.0 }, 0.0]
        }))
        .unwrap();
        assert!(rare.knee_shares.iter().filter(|share| 0.1 < **share).count() > 1, "{rare:?}");
        let [low, high] = rare.intervals[1];
        assert!(low.late < 1.0 && 300.0 <= high.late, "{low:?} {high:?}");
    }
}
