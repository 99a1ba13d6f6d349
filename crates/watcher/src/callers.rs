//! Observes the traffic by reading the metrics of the callers' proxies, once a tick.

mod exposition;
mod lookup;
mod observed;
mod scrape;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use policy::{CallerStates, CounterSeries, RequestClass};
use tokio::{task::JoinSet, time::Instant};

use crate::config::{CallersUrl, QuerySettings, SourceSettings};
use exposition::{Reader, Sample};
use lookup::Lookup;
pub(crate) use observed::{ObservedCallers, Silent};
pub(crate) use scrape::ScrapeError;
pub(crate) use scrape::Scraper;

/// The number of callers that are read. Further ones are not seen.
const MAX_CALLERS: usize = 1_000;

/// A caller that its name no longer lists is read for as long as it answers, because the name may be wrong,
/// but no longer than this.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5 * 60);

/// A caller that its name no longer lists has ended when so many reads in a row have failed.
const ENDED_AFTER_FAILURES: u32 = 2;

/// The number of callers that are read at once.
const MAX_READS: usize = 32;

/// Without an answer to the lookup for so long, there may be callers that the watcher does not know.
const NAME_STALE_AFTER: Duration = Duration::from_secs(10);

/// The series of each caller that counts nothing: it shows when the caller was read.
const PRESENCE: u64 = 0;

/// Policies whose ticks are at the same time share an answer that is no older than this.
const MAX_AGE: Duration = Duration::from_millis(250);

/// The longest wait for an answer.
const MAX_TIMEOUT: Duration = Duration::from_secs(2);

/// All callers of one name.
pub(crate) struct Callers {
    scraper: Arc<Scraper>,
    /// How long a caller may take to answer.
    limit: Duration,
    /// How old an answer to another policy may be.
    max_age: Duration,
    url: CallersUrl,
    name: Arc<str>,
    reader: Arc<Reader>,
    lookup: Lookup,
    callers: BTreeMap<SocketAddr, Caller>,
    /// Why the name lists no callers; `None` if it does.
    name_problem: Option<String>,
    /// When the name last listed callers.
    listed_at: Option<Duration>,
    /// Whether the name lists more callers than are read.
    has_too_many: bool,
    /// Whether any caller has ever counted a request that the selector matches.
    has_counted: bool,
}

/// What is known of one caller.
#[derive(Clone, Copy, Debug)]
struct Caller {
    /// When its name last listed it.
    listed_at: Duration,
    has_answered: bool,
    /// Whether it has ever counted a request that the selector matches.
    has_counted: bool,
    /// The number of reads that have failed in a row.
    failures: u32,
}

/// What a caller's metrics show, and when.
type Read = Result<(Instant, Vec<Sample>), ScrapeError>;

impl Callers {
    /// The callers that the settings name. Each must answer within half an `interval`.
    pub(crate) fn new(
        source: &SourceSettings,
        settings: QuerySettings,
        interval: Duration,
        scraper: Arc<Scraper>,
    ) -> anyhow::Result<Self> {
        let lookup = Lookup::of_system(source.callers_url.authority());
        Self::with_lookup(source, settings, interval, scraper, lookup)
    }

    fn with_lookup(
        source: &SourceSettings,
        settings: QuerySettings,
        interval: Duration,
        scraper: Arc<Scraper>,
        lookup: Lookup,
    ) -> anyhow::Result<Self> {
        let selector = source.selector(&settings.series).map_err(anyhow::Error::msg)?;
        Ok(Self {
            scraper,
            limit: (interval / 2).min(MAX_TIMEOUT),
            max_age: (interval / 4).min(MAX_AGE),
            url: source.callers_url.clone(),
            name: source.callers_url.authority().into(),
            reader: Arc::new(Reader::new(selector, settings)),
            lookup,
            callers: BTreeMap::new(),
            name_problem: None,
            listed_at: None,
            has_too_many: false,
            has_counted: false,
        })
    }

    /// Reads all callers once, at `now`. After the lookup, that takes no longer than three times what one may take,
    /// however many do not answer.
    pub(crate) async fn observe(&mut self, now: Duration) -> ObservedCallers {
        let start = Instant::now();
        self.look_up(now).await;
        let last_start = Instant::now() + 2 * self.limit;
        let mut waiting = self.in_order().into_iter();
        let mut reads = JoinSet::new();
        let name_problem = self.present_name_problem(now);
        let mut observed = ObservedCallers { name_problem, ..ObservedCallers::default() };
        loop {
            while reads.len() < MAX_READS && Instant::now() < last_start {
                let Some(address) = waiting.next() else { break };
                reads.spawn(self.read(address));
            }
            let Some(read) = reads.join_next().await else { break };
            let Ok((address, result)) = read else { continue };
            self.record(address, now, start, result, &mut observed);
        }
        for address in waiting {
            self.record(address, now, start, Err(ScrapeError::NotAsked), &mut observed);
        }
        observed.silent.sort_by_key(|silent| silent.address);
        self.has_counted |= self.callers.values().any(|caller| caller.has_counted);
        observed.has_counted = self.has_counted;
        observed.states = self.end_callers(now);
        observed
    }

    /// All callers: at first those that answered last time, at last those that were asked most in vain.
    fn in_order(&self) -> Vec<SocketAddr> {
        let mut callers: Vec<_> = self.callers.iter().collect();
        callers.sort_by_key(|(_, caller)| (caller.failures, !caller.has_answered));
        callers.into_iter().map(|(address, _)| *address).collect()
    }

    /// Reads one caller.
    fn read(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = (SocketAddr, Read)> + Send + 'static {
        let (scraper, url) = (Arc::clone(&self.scraper), self.url.of(address));
        let (limit, max_age) = (self.limit, self.max_age);
        let (name, reader) = (Arc::clone(&self.name), Arc::clone(&self.reader));
        async move {
            let scraped = scraper.scrape(url, &name, max_age, limit).await;
            let read = scraped.and_then(|(at, text)| Ok((at, reader.read(&text)?)));
            (address, read)
        }
    }

    /// Records what one caller answered.
    fn record(
        &mut self,
        address: SocketAddr,
        now: Duration,
        start: Instant,
        result: Read,
        observed: &mut ObservedCallers,
    ) {
        let Some(caller) = self.callers.get_mut(&address) else { return };
        let error = match result {
            // Counters do not vanish: the caller has other labels now, or has begun again.
            Ok((_, samples)) if samples.is_empty() && caller.has_counted => ScrapeError::NoSeries,
            Ok((at, samples)) => {
                caller.has_answered = true;
                caller.has_counted |= !samples.is_empty();
                caller.failures = 0;
                observed.answering += 1;
                let at = now + at.saturating_duration_since(start);
                Self::add_counters(observed, address, at, &samples);
                return;
            }
            Err(error) => error,
        };
        let was_asked = !matches!(error, ScrapeError::NotAsked);
        caller.failures = caller.failures.saturating_add(was_asked.into());
        if now <= caller.listed_at {
            let failures = caller.failures;
            observed.silent.push(Silent { address, error, failures });
        }
    }

    /// Takes the addresses that the name lists. Without an answer, those of before remain.
    async fn look_up(&mut self, now: Duration) {
        match self.lookup.next().await {
            None => {}
            Some(Err(problem)) => self.name_problem = Some(problem),
            Some(Ok(addresses)) => {
                self.name_problem = None;
                self.listed_at = Some(now);
                self.has_too_many = MAX_CALLERS < addresses.len();
                for address in addresses.into_iter().take(MAX_CALLERS) {
                    let new = Caller {
                        listed_at: now,
                        has_answered: false,
                        has_counted: false,
                        failures: 0,
                    };
                    self.callers.entry(address).or_insert(new).listed_at = now;
                }
            }
        }
    }

    /// Whether there may be callers by now that the watcher does not know.
    fn is_name_stale(&self, now: Duration) -> bool {
        self.listed_at.is_none_or(|at| at + NAME_STALE_AFTER < now)
    }

    /// Why the name does not list all callers. A lookup may fail for once.
    fn present_name_problem(&self, now: Duration) -> Option<String> {
        if self.has_too_many {
            return Some(format!("it lists more than {MAX_CALLERS}"));
        }
        let problem = || self.name_problem.clone().unwrap_or("no answer".to_owned());
        self.is_name_stale(now).then(problem)
    }

    fn add_counters(
        observed: &mut ObservedCallers,
        address: SocketAddr,
        at: Duration,
        samples: &[Sample],
    ) {
        let nothing = RequestClass { cluster: None, is_failure: false };
        let mut counts = BTreeMap::from([(PRESENCE, (nothing, 0.0))]);
        for Sample { series, count } in samples {
            observed.unknown_clusters.extend(series.unknown_cluster.clone());
            counts.entry(series.hash).or_insert((series.class, 0.0)).1 += count;
        }
        let caller = id(address);
        observed.counters.extend(counts.into_iter().map(|(series, (class, count))| {
            CounterSeries { series, caller, class, samples: vec![(at, count)] }
        }));
    }

    /// Ends callers that are gone, and returns what the policy must know of all.
    fn end_callers(&mut self, now: Duration) -> CallerStates {
        let has_ended = |caller: &Caller| {
            let is_listed = now <= caller.listed_at;
            let is_old = caller.listed_at + GIVEN_UP_AFTER <= now;
            !is_listed && (ENDED_AFTER_FAILURES <= caller.failures || is_old)
        };
        let mut ended = Vec::new();
        // Without an answer to the lookup, nobody has ended.
        if self.listed_at == Some(now) {
            let gone = self.callers.extract_if(.., |_, caller| has_ended(caller));
            ended.extend(gone.map(|(address, _)| id(address)));
        }
        let has_unseen = self.has_too_many
            || self.is_name_stale(now)
            || self.callers.values().any(|caller| !caller.has_answered);
        CallerStates { ended, knows_ends: true, has_unseen }
    }
}

/// Identifies a caller.
fn id(address: SocketAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    hasher.finish()
}
