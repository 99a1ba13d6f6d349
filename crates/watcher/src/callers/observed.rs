//! What one round of all callers showed, and what an operator should know of it.

use std::{collections::BTreeSet, net::SocketAddr};

use policy::{CallerStates, CounterSeries, Observation};

use super::ScrapeError;
use crate::prometheus::Finding;

/// The number of names of clusters that a finding shows.
const MAX_NAMES: usize = 3;

/// A caller is reported when so many reads in a row have failed.
const REPORTED_AFTER_FAILURES: u32 = 3;

/// What one round of all callers showed.
#[derive(Debug, Default)]
pub(crate) struct ObservedCallers {
    /// The counters of those that answered.
    pub(crate) counters: Vec<CounterSeries>,
    pub(crate) states: CallerStates,
    /// The number of callers that answered.
    pub(crate) answering: usize,
    /// The listed callers that did not.
    pub(crate) silent: Vec<Silent>,
    /// The names of clusters that neither setting names.
    pub(crate) unknown_clusters: BTreeSet<String>,
    /// Whether any caller has ever counted a request that the selector matches.
    pub(super) has_counted: bool,
    /// Why the name lists no callers, or not all.
    pub(super) name_problem: Option<String>,
}

/// A caller that did not answer.
#[derive(Debug)]
pub(crate) struct Silent {
    pub(crate) address: SocketAddr,
    pub(crate) error: ScrapeError,
    /// The number of reads that have failed in a row.
    pub(super) failures: u32,
}

impl ObservedCallers {
    /// Whether all callers were read, as far as is known.
    pub(crate) fn is_complete(&self) -> bool {
        0 < self.answering && self.silent.is_empty() && self.name_problem.is_none()
    }

    /// What the policy takes; the problem in words if no caller answered.
    pub(crate) fn observation(&self) -> Result<Observation, String> {
        match self.answering {
            0 => Err(self.problem_after(0).unwrap_or_else(|| "there is no caller".to_owned())),
            // The selector may be wrong, so nothing that it matches is no rate of zero.
            _ if !self.has_counted => Ok(Observation::NoCounters { zero_until: None }),
            _ => Ok(Observation::Counters(self.counters.clone())),
        }
    }

    /// What an operator should know.
    pub(crate) fn finding(&self) -> Finding {
        if let Some(why) = self.problem() {
            return Finding::CallersNotRead { why };
        }
        if !self.unknown_clusters.is_empty() {
            let names = self.unknown_clusters.iter().take(MAX_NAMES).cloned().collect();
            return Finding::UnknownClusters { names };
        }
        match self.has_counted {
            true => Finding::FineCallers,
            false => Finding::NothingCounted,
        }
    }

    /// What keeps the watcher from reading all callers; `None` if it does.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem_after(REPORTED_AFTER_FAILURES)
    }

    fn problem_after(&self, failures: u32) -> Option<String> {
        let lasting = || self.silent.iter().filter(|silent| failures <= silent.failures);
        let silent = lasting().next().map(|Silent { address, error, .. }| {
            let (number, all) = (lasting().count(), self.silent.len() + self.answering);
            format!("{number} of {all} callers cannot be read; {address}: {error}")
        });
        let name = self.name_problem.as_ref();
        silent.or_else(|| name.map(|problem| format!("the name of the callers: {problem}")))
    }
}
