//! Reads the counters of an answer, and which caller counted.

use std::{collections::HashSet, time::Duration};

use policy::CounterSeries;

use super::answer::SampledSeries;
use crate::{
    config::QuerySettings,
    labels::{Labels, class, hash},
};

/// The labels that Prometheus adds to tell targets apart.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// Returns the series as the policy takes them. A sample that is not a number is left out.
pub(super) fn counters(series: &[SampledSeries], settings: &QuerySettings) -> Vec<CounterSeries> {
    let counter = |series: &SampledSeries| CounterSeries {
        series: hash(series.metric.iter()),
        caller: caller(&series.metric),
        class: class(&series.metric, settings),
        samples: series.values.iter().filter_map(sample).collect(),
    };
    series.iter().map(counter).collect()
}

fn sample((at, count): &(f64, String)) -> Option<(Duration, f64)> {
    let at = Duration::try_from_secs_f64(*at).ok()?;
    Some((at, count.parse().ok()?))
}

/// Identifies the target of a series; `None` if its labels do not name it.
pub(super) fn named_caller(series: &SampledSeries) -> Option<u64> {
    series.metric.contains_key("instance").then(|| caller(&series.metric))
}

/// Whether the series are of some of these callers.
pub(super) fn have_common_caller(series: &[SampledSeries], callers: &HashSet<u64>) -> bool {
    series.iter().filter_map(named_caller).any(|caller| callers.contains(&caller))
}

/// Identifies the target that was scraped.
fn caller(labels: &Labels) -> u64 {
    hash(TARGET_LABELS.iter().filter_map(|name| labels.get_key_value(*name)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chassis::settings::from_arguments;

    use super::*;
    use crate::Config;

    #[test]
    fn series_of_one_target_are_of_one_caller() {
        let series = |instance: &str, code: &str, count: &str| SampledSeries {
            metric: BTreeMap::from([
                ("instance".to_owned(), instance.to_owned()),
                ("response_code".to_owned(), code.to_owned()),
            ]),
            values: vec![(1.5, count.to_owned()), (f64::NAN, "1".to_owned())],
        };
        let settings = from_arguments::<Config>(&[]).unwrap().watch.signal.query;
        let all = [series("a", "200", "7"), series("a", "503", "x"), series("b", "200", "NaN")];
        let counters = counters(&all, &settings);
        assert_eq!(counters[0].samples, [(Duration::from_millis(1500), 7.0)]);
        assert!(counters[1].samples.is_empty());
        assert_eq!(counters[0].caller, counters[1].caller);
        assert_ne!(counters[0].series, counters[1].series);
        assert_ne!(counters[0].caller, counters[2].caller);
    }
}
