//! How much the counts deviate from their mean.

use std::collections::VecDeque;

use super::Measured;

/// From so many requests on, twice as many in the next interval are a step, such as the first load after an
/// idle time, and no noise.
const STEP_REQUESTS: f64 = 30.0;

/// The weight of the assumption of independent visitors, in differences.
const PRIOR_DIFFERENCES: f64 = 1.0;

/// For independent visitors, the mean of the seven tenths that count of the smaller differences. A
/// simulation of 400,000 normal deviates gave it.
const TRIMMED_MEAN: f64 = 0.106;

/// The mean of the smallest nine tenths of squared standard normal deviates.
const MEAN_OF_NINE_TENTHS: f64 = 0.6;

/// Behind a full queue a load is even at most times and uneven at others. Its index is up to this, which
/// still lets two intervals prove a rise of an even load by a third.
const MOST_IF_EVEN_ELSE: f64 = 0.5;

/// Counts are whole numbers, so the count of even requests deviates by one.
const MIN_DISPERSION: f64 = 0.02;

/// Above this, the load is not one rate with noise, but changes.
const MAX_DISPERSION: f64 = 10.0;

/// Estimates the index of dispersion from the differences of neighboring intervals, so that a slow
/// change of the rate does not count. Of the two differences of an interval the smaller counts, and the
/// largest three tenths of those do not, so that steps do not count, either: somebody may try one rate
/// after the other. Until there are many differences, 1 has the weight of [`PRIOR_DIFFERENCES`].
pub(super) fn estimate(intervals: &VecDeque<Measured>) -> f64 {
    let mut ratios: Vec<f64> = Vec::with_capacity(intervals.len());
    for (before, after) in intervals.iter().zip(intervals.iter().skip(1)) {
        let is_pair = before.to == after.from && before.is_complete && after.is_complete;
        let (short, long) = (before.seconds, after.seconds);
        if !is_pair || short < long / 3.0 || long < short / 3.0 {
            continue;
        }
        let (fewer, more) = (before.rate.min(after.rate), before.rate.max(after.rate));
        if 2.0 * fewer < more && STEP_REQUESTS <= more * short.min(long) {
            continue;
        }
        let mean = (before.count + after.count) / (short + long);
        let variance = mean * (1.0 / short + 1.0 / long);
        if 0.0 < variance {
            ratios.push((after.rate - before.rate).powi(2) / variance);
        }
    }
    let mut smaller: Vec<f64> = ratios.windows(2).map(|pair| pair[0].min(pair[1])).collect();
    let kept = smaller.len() - (smaller.len() * 3).div_ceil(10);
    let mean = mean_of_smallest(&mut smaller, kept) / TRIMMED_MEAN;
    let count = smaller.len() as f64;
    let estimate = (mean * count + PRIOR_DIFFERENCES) / (count + PRIOR_DIFFERENCES);
    // The estimate is itself uncertain: its upper bound is used.
    let upper = estimate * (1.0 + 1.0 / (count + 1.0).sqrt());
    let most = ratios.len() - ratios.len().div_ceil(10);
    let at_times = mean_of_smallest(&mut ratios, most) / MEAN_OF_NINE_TENTHS;
    upper.max(at_times.min(MOST_IF_EVEN_ELSE)).clamp(MIN_DISPERSION, MAX_DISPERSION)
}

/// The mean of the smallest `number` of values; 0 without one. It changes their order.
fn mean_of_smallest(values: &mut [f64], number: usize) -> f64 {
    if number < values.len() {
        values.select_nth_unstable_by(number, f64::total_cmp);
    }
    values[..number].iter().sum::<f64>() / number.max(1) as f64
}
