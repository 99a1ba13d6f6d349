//! How much primary can carry, when that is observed again and again: so much for each of its endpoints, or
//! the value of a query.
//!
//! A capacity is evidence like a rate. An unknown one is not zero, and a sudden change is not
//! believed at once: one list of endpoints may be incomplete, and a new endpoint is slow at first.

use std::time::Duration;

use crate::settings::CapacitySettings;

/// A smaller capacity is believed when it was observed so many times in a row.
const LOWER_AFTER: u32 = 3;

/// A larger capacity is believed when it was observed for this time.
const HIGHER_AFTER: Duration = Duration::from_secs(30);

/// The last known capacity is believed for this time.
const KNOWN_FOR: Duration = Duration::from_secs(30);

/// The capacity of primary.
#[derive(Debug)]
pub(crate) struct Capacity {
    settings: CapacitySettings,
    /// The capacity that is believed, in requests per second; `None` before the first observation.
    believed: Option<f64>,
    /// When it was last observed.
    known_at: Duration,
    change: Option<Change>,
}

/// A change that is not believed yet.
#[derive(Clone, Copy, Debug)]
struct Change {
    is_higher: bool,
    since: Duration,
    observations: u32,
    /// The observed value that differs least from the believed one.
    value: f64,
}

impl Capacity {
    pub(crate) fn new(settings: CapacitySettings, now: Duration) -> Self {
        let believed = (!settings.is_measured()).then_some(settings.capacity);
        Self { settings, believed, known_at: now, change: None }
    }

    /// Takes an observation, which is `None` or not positive if the capacity is unknown.
    pub(crate) fn observe(&mut self, now: Duration, observed: Option<f64>) {
        let Some(value) = observed.filter(|value| value.is_finite() && 0.0 < *value) else {
            return;
        };
        self.known_at = now;
        let Some(believed) = self.believed else {
            self.believed = Some(value);
            return;
        };
        if value == believed {
            self.change = None;
            return;
        }
        let is_higher = believed < value;
        let new = Change { is_higher, since: now, observations: 0, value };
        let mut change = self.change.filter(|change| change.is_higher == is_higher).unwrap_or(new);
        change.observations += 1;
        change.value = if is_higher { change.value.min(value) } else { change.value.max(value) };
        let is_believed = match is_higher {
            true => change.since + HIGHER_AFTER <= now,
            false => LOWER_AFTER <= change.observations,
        };
        self.change = (!is_believed).then_some(change);
        if is_believed {
            self.believed = Some(change.value);
        }
    }

    /// The capacity, in requests per second; `None` if it is unknown.
    pub(crate) fn get(&self, now: Duration) -> Option<f64> {
        let is_known = !self.settings.is_measured() || now <= self.known_at + KNOWN_FOR;
        self.believed.filter(|_| is_known)
    }

    /// How many times `CAPACITY` that is.
    pub(crate) fn scale(&self, now: Duration) -> Option<f64> {
        self.get(now).map(|capacity| capacity / self.settings.capacity)
    }

    /// For how long it has been unknown.
    pub(crate) fn unknown_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.known_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Capacity {
        let settings = CapacitySettings {
            capacity: 5.0,
            capacity_service: Some("worker".to_owned()),
            ..CapacitySettings::default()
        };
        Capacity::new(settings, Duration::ZERO)
    }

    /// Observes once a second, and returns what is believed after each.
    fn play(observed: &[f64]) -> Vec<Option<f64>> {
        let mut capacity = measured();
        let observe = |(second, value): (u64, &f64)| {
            let now = Duration::from_secs(second);
            capacity.observe(now, Some(*value));
            capacity.get(now)
        };
        (0..).zip(observed).map(observe).collect()
    }

    #[test]
    fn a_number_is_known_for_ever() {
        let capacity = Capacity::new(CapacitySettings::default(), Duration::ZERO);
        assert_eq!(capacity.get(Duration::from_secs(1_000_000)), Some(15.0));
        assert_eq!(capacity.scale(Duration::ZERO), Some(1.0));
    }

    #[test]
    fn a_smaller_capacity_must_be_seen_three_times() {
        let known = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(play(&[15.0, 5.0, 5.0, 15.0, 5.0]), known(&[15.0; 5]), "one list was short");
        assert_eq!(play(&[15.0, 5.0, 10.0, 5.0]), known(&[15.0, 15.0, 15.0, 10.0]));
    }

    #[test]
    fn a_larger_capacity_must_last() {
        let mut observed = vec![5.0];
        observed.extend([15.0; 40]);
        let believed = play(&observed);
        assert_eq!(believed[30], Some(5.0));
        assert_eq!(believed[31], Some(15.0));
        observed[20] = 5.0;
        assert_eq!(play(&observed)[40], Some(5.0), "it did not last");
    }

    #[test]
    fn an_unknown_capacity_is_not_zero_and_the_last_is_believed_for_a_while() {
        let mut capacity = measured();
        assert_eq!(capacity.get(Duration::ZERO), None);
        capacity.observe(Duration::ZERO, Some(10.0));
        for second in 1..=60 {
            let now = Duration::from_secs(second);
            for unknown in [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(f64::INFINITY)] {
                capacity.observe(now, unknown);
            }
            assert_eq!(capacity.get(now), (second <= 30).then_some(10.0), "{second}");
        }
        assert_eq!(capacity.scale(Duration::from_secs(30)), Some(2.0));
    }
}
