//! Where the load of a replay comes from: a file, or the history in Prometheus.

use std::{
    fs::File,
    io::{BufReader, Read},
    time::Duration,
};

use anyhow::Context as _;
use policy::HumanDuration;
use replay::{Trace, TraceError};

use super::{
    config::{LoadSource, ReplayConfig},
    history::History,
};
use crate::config::WatchSettings;

/// The part of the text that is read at once.
const BUFFER: usize = 1 << 20;

/// A load, and what is known of it before it is read.
pub(super) struct Load {
    trace: Trace<BufReader<Box<dyn Read>>>,
    /// Where it is from, as an error names it.
    setting: String,
    /// The distance of the samples in Prometheus; `None` if it is unknown, or the load is a file.
    pub(super) scrape: Option<Duration>,
}

impl Load {
    /// Opens the file, or begins to read from Prometheus.
    ///
    /// # Errors
    /// When the file cannot be opened, or Prometheus does not answer.
    pub(super) fn open(config: &ReplayConfig, settings: &WatchSettings) -> anyhow::Result<Self> {
        let (text, setting, scrape): (Box<dyn Read>, _, _) = match config.source()? {
            LoadSource::File(path) => {
                let setting = format!("--trace: {}", path.display());
                let file = File::open(path).with_context(|| setting.clone())?;
                (Box::new(file), setting, None)
            }
            LoadSource::Prometheus(span) => {
                let History { text, scrape } = History::start(config, settings, span)?;
                (text, "--from".to_owned(), scrape)
            }
        };
        let trace = Trace::new(BufReader::with_capacity(BUFFER, text));
        Ok(Self { trace, setting, scrape })
    }

    /// What it does not show; `None` if it is a file.
    pub(super) fn note(&self) -> Option<String> {
        let scrape = HumanDuration(self.scrape?);
        Some(format!(
            "Prometheus has a sample every {scrape}. It does not show how the requests arrived in between: even and random arrivals bracket that."
        ))
    }

    /// The time of its first second, in seconds since 1970; `None` if it has no times, or is not read yet.
    pub(super) fn start(&self) -> Option<f64> {
        self.trace.start()
    }
}

/// The requests of one second after the other; `None` for a second of which nothing is known.
///
/// It ends with an error when the text cannot be read, or Prometheus no longer answers.
impl Iterator for Load {
    type Item = anyhow::Result<Option<f64>>;

    fn next(&mut self) -> Option<Self::Item> {
        let error = match self.trace.next()? {
            Ok(second) => return Some(Ok(second)),
            // The lines of Prometheus' answers are nobody's.
            Err(TraceError::Unreadable { error, .. }) => anyhow::Error::new(error),
            Err(error) => anyhow::Error::new(error),
        };
        Some(Err(error.context(self.setting.clone())))
    }
}
