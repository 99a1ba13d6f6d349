//! Where the load of a replay comes from: a file, the history in Prometheus, or a made-up shape.

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

/// The setting of a load from Prometheus.
const FROM: &str = "--from";

/// A load, and what is known of it before it is read.
pub(super) struct Load {
    seconds: Seconds,
    /// The setting that names it, for errors.
    setting: String,
    /// Where it is from.
    pub(super) name: String,
    /// The distance of the samples in Prometheus; `None` if it is unknown, or the load is not from there.
    pub(super) scrape: Option<Duration>,
}

/// The requests of one second after the other.
enum Seconds {
    Trace(Box<Trace<BufReader<Box<dyn Read>>>>),
    Shape(Box<dyn Iterator<Item = Option<f64>>>),
}

impl Load {
    /// Opens the file, begins to read from Prometheus, or makes the load up.
    ///
    /// # Errors
    /// When the file cannot be opened, or Prometheus does not answer.
    pub(super) fn open(config: &ReplayConfig, settings: &WatchSettings) -> anyhow::Result<Self> {
        match config.source()? {
            LoadSource::File(path) => {
                let setting = format!("--trace: {}", path.display());
                let file = File::open(path).with_context(|| setting.clone())?;
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                let seconds = Seconds::of_text(Box::new(file));
                Ok(Self { seconds, setting, name: name.into_owned(), scrape: None })
            }
            LoadSource::Shape(shape) => {
                let carries = config.primary_carries(settings);
                let seconds = Seconds::Shape(Box::new(shape.seconds(carries, config.seed)));
                let (setting, name) = ("--shape".to_owned(), format!("a made-up load, {shape}"));
                Ok(Self { seconds, setting, name, scrape: None })
            }
            LoadSource::Prometheus(span) => {
                let History { text, scrape } = History::start(config, settings, span)?;
                let (setting, name) = (FROM.to_owned(), "Prometheus".to_owned());
                Ok(Self { seconds: Seconds::of_text(text), setting, name, scrape })
            }
        }
    }

    /// What it does not show; `None` if it is not from Prometheus.
    pub(super) fn note(&self) -> Option<String> {
        let scrape = HumanDuration(self.scrape?);
        Some(format!(
            "Prometheus has a sample every {scrape}. It does not show how the requests arrived in between: even and random arrivals bracket that."
        ))
    }

    /// The time of its first second, in seconds since 1970; `None` if it has no times, or is not read yet.
    pub(super) fn start(&self) -> Option<f64> {
        match &self.seconds {
            Seconds::Trace(trace) => trace.start(),
            Seconds::Shape(_) => None,
        }
    }
}

impl Seconds {
    fn of_text(text: Box<dyn Read>) -> Self {
        Self::Trace(Box::new(Trace::new(BufReader::with_capacity(BUFFER, text))))
    }
}

/// The requests of one second after the other; `None` for a second of which nothing is known.
///
/// It ends with an error when the text cannot be read, or Prometheus no longer answers.
impl Iterator for Load {
    type Item = anyhow::Result<Option<f64>>;

    fn next(&mut self) -> Option<Self::Item> {
        let second = match &mut self.seconds {
            Seconds::Trace(trace) => trace.next()?,
            Seconds::Shape(seconds) => Ok(seconds.next()?),
        };
        let error = match second {
            Ok(second) => return Some(Ok(second)),
            // The lines of Prometheus' answers are nobody's.
            Err(TraceError::Unreadable { error, .. }) if self.setting == FROM => {
                anyhow::Error::new(error)
            }
            Err(error) => anyhow::Error::new(error),
        };
        Some(Err(error.context(self.setting.clone())))
    }
}
