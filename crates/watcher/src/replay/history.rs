//! The load as Prometheus has kept it. It is read beside the replay, on a thread of its own.

use std::{
    io::{self, BufReader, Cursor, Read, Write as _},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use policy::CountedInterval;

use super::{
    config::{ReplayConfig, Span},
    saved::Saved,
};
use crate::{
    config::WatchSettings,
    prometheus::{Connection, HistoryReader, Prometheus, Unknown},
};

/// The pieces that wait for the replay. A piece covers a day at most.
const WAITING_PIECES: usize = 2;

/// The load from Prometheus.
pub(super) struct History {
    /// Its text, as a trace has it.
    pub(super) text: Box<dyn Read>,
    /// The distance of the samples; `None` if Prometheus knows too few.
    pub(super) scrape: Option<Duration>,
}

impl History {
    /// Begins to read, and waits for the first answer.
    ///
    /// # Errors
    /// When Prometheus does not answer, or `--save` names a file that holds another load.
    pub(super) fn start(
        config: &ReplayConfig,
        settings: &WatchSettings,
        span: Span,
    ) -> anyhow::Result<Self> {
        let query = &settings.signal.query;
        let name = if query.has_query() { &query.query } else { &query.series };
        let saved = config.save.as_deref().map(|path| Saved::open(path, name, span)).transpose()?;
        let connection = Arc::new(Connection::new(&config.prometheus)?);
        let prometheus = Prometheus::new(connection, query.clone(), settings.timeout());
        let from = saved.as_ref().and_then(|saved| saved.continues_at);
        let reader = HistoryReader::new(prometheus, from.unwrap_or(span.from), span.until);
        let earlier = saved.as_ref().map(Saved::text).transpose()?;
        let saved_distance = saved.as_ref().and_then(|saved| saved.distance);
        let (sender, receiver) = sync_channel(WAITING_PIECES);
        let known_until = from.is_none().then_some(span.from);
        let task = Task { reader, span, saved, known_until };
        let reading =
            thread::Builder::new().name("history".to_owned()).spawn(move || task.run(&sender))?;
        let (mut first, mut scrape) = (Vec::new(), None);
        // Until the first samples, or the end.
        while scrape.is_none()
            && let Ok(piece) = receiver.recv()
        {
            let piece = piece.context("--from")?;
            first.extend(piece.text);
            scrape = piece.scrape;
        }
        let pieces = Pieces { receiver, present: Cursor::new(first), reading: Some(reading) };
        let text: Box<dyn Read> = match earlier {
            Some(earlier) => Box::new(BufReader::new(earlier).chain(pieces)),
            None => Box::new(pieces),
        };
        Ok(Self { text, scrape: scrape.or(saved_distance) })
    }
}

/// A part of the text.
struct Piece {
    text: Vec<u8>,
    /// The distance of the samples, as far as it is known.
    scrape: Option<Duration>,
}

/// The text, which arrives in pieces.
struct Pieces {
    receiver: Receiver<io::Result<Piece>>,
    present: Cursor<Vec<u8>>,
    /// What sends; `None` once it has ended.
    reading: Option<JoinHandle<()>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.present.read(buffer)?;
            if 0 < read || buffer.is_empty() {
                return Ok(read);
            }
            match self.receiver.recv() {
                Ok(piece) => self.present = Cursor::new(piece?.text),
                // Everything has been sent, unless a fault ended the reading.
                Err(_) => match self.reading.take().map(JoinHandle::join) {
                    Some(Err(_)) => return Err(io::Error::other("the reading has failed")),
                    _ => return Ok(0),
                },
            }
        }
    }
}

/// What reads.
struct Task {
    reader: HistoryReader,
    span: Span,
    saved: Option<Saved>,
    /// The end of the last interval; `None` if the saved text ends at an unknown time.
    known_until: Option<Duration>,
}

impl Task {
    /// Reads until the end, or until nobody takes the pieces any more.
    fn run(mut self, sender: &SyncSender<io::Result<Piece>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = runtime.and_then(|runtime| runtime.block_on(self.read(sender)));
        if let Err(error) = result {
            let _ = sender.send(Err(error));
        }
    }

    async fn read(&mut self, sender: &SyncSender<io::Result<Piece>>) -> io::Result<()> {
        let bar = progress_bar(self.span);
        while let Some(intervals) = self.reader.next().await.map_err(io::Error::other)? {
            let text = self.lines(&intervals);
            if let Some(saved) = &mut self.saved {
                saved.file.write_all(&text)?;
            }
            bar.set_position(self.reader.read_until().saturating_sub(self.span.from).as_secs());
            let piece = Piece { text, scrape: self.reader.scrape_interval() };
            if sender.send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
        bar.finish_and_clear();
        let has_saved = self.saved.as_ref().is_some_and(|saved| saved.continues_at.is_some());
        if self.known_until == Some(self.span.from) && !has_saved {
            return Err(io::Error::other(Unknown::Empty));
        }
        Ok(())
    }

    /// The lines of some intervals. An empty value says that nothing is known from a time on.
    fn lines(&mut self, intervals: &[CountedInterval]) -> Vec<u8> {
        let mut lines = String::new();
        let line = |at: Duration, rate: Option<f64>| {
            let rate = rate.map(|rate| format!("{rate:.6}")).unwrap_or_default();
            format!("{:.3},{rate}\n", at.as_secs_f64())
        };
        for CountedInterval { from, to, rate } in intervals {
            if let Some(gap) = self.known_until.and_then(|until| self.gap(until, *from)) {
                lines.push_str(&line(gap, None));
            }
            lines.push_str(&line(*from, *rate));
            self.known_until = Some(*to);
        }
        lines.into_bytes()
    }

    /// When a gap begins that ends at `to`; `None` if there is none. A gap before the first interval is as long as
    /// some scrapes: a replay counts its own scrapes from the start of the load, and so scrapes when Prometheus
    /// did.
    fn gap(&self, from: Duration, to: Duration) -> Option<Duration> {
        if from != self.span.from {
            return (from < to).then_some(from);
        }
        let scrape = self.reader.scrape_interval().unwrap_or(Duration::from_secs(1));
        let scrapes = to.checked_sub(from)?.div_duration_f64(scrape).floor();
        (1.0 <= scrapes).then(|| to.saturating_sub(scrape.mul_f64(scrapes)))
    }
}

/// Shows on a terminal how far it has read.
fn progress_bar(span: Span) -> ProgressBar {
    let seconds = span.until.saturating_sub(span.from).as_secs();
    let style = ProgressStyle::with_template("Prometheus {wide_bar} {percent} %, {eta} left");
    ProgressBar::new(seconds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
