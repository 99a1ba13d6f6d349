//! Auto-stop: ends the load by itself, because a page that anybody can open must not load a worker
//! forever.
//!
//! [`rule`] decides; this module observes the load once a second, and applies the decision.

mod rule;

use std::{convert::Infallible, time::Duration};

use tokio::time::{Instant, interval};

use crate::{
    control::Control,
    load::{SharedTally, rate::Rate},
    viewers::Viewers,
};

use rule::{Observation, Rule};

pub(crate) use rule::{MAX_UNREQUESTED, StopReason};

/// The time between two observations.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);

/// Ends the load whenever the rule says so.
#[derive(Clone)]
pub(crate) struct AutoStop {
    control: Control,
    viewers: Viewers,
    tally: SharedTally,
    start: Instant,
}

impl AutoStop {
    pub(crate) fn new(control: Control, viewers: Viewers, tally: SharedTally) -> Self {
        Self { control, viewers, tally, start: Instant::now() }
    }

    pub(crate) async fn run(self) -> Infallible {
        let mut rule = Rule::default();
        let mut ticks = interval(OBSERVE_EVERY);
        loop {
            ticks.tick().await;
            let requested_at = self.control.requested_at();
            if let Some(reason) = rule.observe(self.observe(requested_at)) {
                self.control.stop(reason, requested_at);
            }
        }
    }

    fn observe(&self, requested_at: Instant) -> Observation {
        // One lock after the other, never two at once.
        let ledger = self.tally.lock().ledger();
        Observation {
            now: self.start.elapsed(),
            is_loading: self.control.rate() != Rate::ZERO,
            requested_at: requested_at.saturating_duration_since(self.start),
            viewers: self.viewers.count(),
            ledger,
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::{Shutdown, probes::Readiness};
    use tokio::time::sleep;

    use super::*;
    use crate::snapshot::Snapshots;

    #[tokio::test(start_paused = true)]
    async fn the_load_ends_by_itself_and_a_request_starts_it_again() {
        let (control, viewers) = (Control::new(), Viewers::default());
        let rate = Rate::from_millis(20_000);
        let auto_stop = AutoStop::new(control.clone(), viewers.clone(), SharedTally::new());
        tokio::spawn(auto_stop.run());

        let viewer = viewers.admit(1).unwrap();
        control.request(rate, 1);
        sleep(Duration::from_secs(14 * 60)).await;
        assert_eq!(control.rate(), rate, "the load goes on while somebody watches");
        assert_eq!(control.stops_in(), Some(Duration::from_secs(60)));
        sleep(Duration::from_secs(62)).await;
        assert_eq!(control.rate(), Rate::ZERO);
        let reason = control.stop_reason().unwrap();
        assert_eq!(reason, "nobody has requested a rate for 15 minutes");

        control.request(rate, 1);
        assert_eq!((control.rate(), control.stop_reason()), (rate, None));
        drop(viewer);
        sleep(Duration::from_secs(29)).await;
        assert_eq!(control.rate(), rate);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(control.rate(), Rate::ZERO);
        assert_eq!(control.stop_reason().unwrap(), "nobody has watched for 30 seconds");
    }

    #[test]
    fn an_observation_and_a_snapshot_never_wait_for_each_other() {
        let (control, viewers, tally) = (Control::new(), Viewers::default(), SharedTally::new());
        let redis = Readiness::new(Shutdown::new()).register("redis");
        let snapshots = Snapshots::new(control.clone(), viewers.clone(), tally.clone(), redis);
        let auto_stop = AutoStop::new(control, viewers, tally);
        let (done, finished) = std::sync::mpsc::channel();
        let observed = done.clone();
        std::thread::spawn(move || {
            for _ in 0..20_000 {
                let _ = auto_stop.observe(auto_stop.control.requested_at());
            }
            observed.send(()).unwrap();
        });
        std::thread::spawn(move || {
            for _ in 0..2_000 {
                let _ = snapshots.take();
            }
            done.send(()).unwrap();
        });
        for _ in 0..2 {
            finished.recv_timeout(Duration::from_secs(60)).expect("they wait for each other");
        }
    }
}
