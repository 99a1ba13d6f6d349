//! A load that is saved while it is read, so that an interrupted reading can go on.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Take, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use super::config::Span;

/// The longest name of a load in the file, in characters: a line of a trace has at most 1024 bytes.
const MAX_NAME: usize = 200;

/// The file of `--save`.
pub(super) struct Saved {
    /// Where the next lines go.
    pub(super) file: File,
    /// Intervals that begin earlier are in the file; `None` if it holds none.
    pub(super) continues_at: Option<Duration>,
    path: PathBuf,
    /// The part of the file that is asked for, in bytes.
    part: Range<u64>,
    /// The distance of its lines; `None` with fewer than two.
    pub(super) distance: Option<Duration>,
}

/// How many distances of lines are compared.
const DISTANCES: usize = 99;

impl Saved {
    /// Opens the file, or makes a new one for the load of this query. What an interrupted write left
    /// incomplete is removed.
    ///
    /// # Errors
    /// When another replay writes the file, or it holds another load, begins after the span, or cannot be used.
    /// Where a file system has no locks, nobody sees the other replay.
    pub(super) fn open(path: &Path, query: &str, span: Span) -> anyhow::Result<Self> {
        let name = || format!("--save: {}", path.display());
        let options = || OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = options().with_context(name)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            anyhow::bail!("{}: another replay writes it; accepted: another file", name());
        }
        let header = header(query);
        let mut first = Vec::new();
        (&file).take(header.len() as u64).read_to_end(&mut first).with_context(name)?;
        // Nothing is written to a file that is not ours.
        anyhow::ensure!(
            header.as_bytes().starts_with(&first),
            "{}: it holds another load: {}; accepted: a new file, or one that begins with {}",
            name(),
            String::from_utf8_lossy(&first).lines().next().unwrap_or_default(),
            header.trim_end()
        );
        if first.len() < header.len() {
            file.write_all(&header.as_bytes()[first.len()..]).with_context(name)?;
        }
        let mut length = header.len() as u64;
        let (mut part, mut first, mut last, mut line) = (length..length, None, None, Vec::new());
        let mut distances = VecDeque::new();
        let mut lines = BufReader::new(&file);
        while 0 < lines.read_until(b'\n', &mut line).with_context(name)? && line.ends_with(b"\n") {
            if let Some(at) = time(&line) {
                first = first.or(Some(at));
                distances.extend(last.replace(at).and_then(|last| at.checked_sub(last)));
                if DISTANCES < distances.len() {
                    distances.pop_front();
                }
                // The line that begins before the span may reach into it.
                if at <= span.from {
                    part.start = length;
                }
            }
            length += line.len() as u64;
            if last.is_none_or(|at| at < span.until) {
                part.end = length;
            }
            line.clear();
        }
        file.set_len(length).with_context(name)?;
        let begins_late = first.is_some_and(|first| span.from + MAX_LATER < first);
        anyhow::ensure!(
            !begins_late,
            "{}: it begins after --from; accepted: a new file, or a file that begins no later",
            name()
        );
        // The file has milliseconds.
        let continues_at = last.map(|at| at + Duration::from_millis(1));
        let distance = median(distances.into());
        Ok(Self { file, continues_at, path: path.to_owned(), part, distance })
    }

    /// What it holds already of the span.
    pub(super) fn text(&self) -> io::Result<Take<File>> {
        // Two handles, because a write moves the place where a handle reads.
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.part.start))?;
        Ok(file.take(self.part.end - self.part.start))
    }
}

/// The first line may be so much later than the time that was asked for: by a scrape.
const MAX_LATER: Duration = Duration::from_secs(10 * 60);

fn median(mut values: Vec<Duration>) -> Option<Duration> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// The first line, which names the load.
fn header(query: &str) -> String {
    let name: String = query.split_whitespace().collect::<Vec<_>>().join(" ");
    let name: String = name.chars().take(MAX_NAME).collect();
    format!("time,requests per second of {name}\n")
}

/// The time of a line.
fn time(line: &[u8]) -> Option<Duration> {
    let text = str::from_utf8(line).ok()?;
    let (time, _) = text.split_once(',')?;
    Duration::try_from_secs_f64(time.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_span_that_is_asked_for_is_taken_from_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = "100.000,1\n160.000,2\n220.000,3\n280.000,4\n";
        std::fs::write(file.path(), format!("{}{lines}34", header("a"))).unwrap();
        let open = |from: u64, until: u64| {
            let [from, until] = [from, until].map(Duration::from_secs);
            let saved = Saved::open(file.path(), "a", Span { from, until })?;
            let mut text = String::new();
            saved.text()?.read_to_string(&mut text)?;
            assert_eq!(saved.distance, Some(Duration::from_secs(60)));
            assert_eq!(saved.continues_at, Some(Duration::from_millis(280_001)));
            anyhow::Ok(text)
        };
        assert_eq!(open(90, 1000).unwrap(), lines, "the incomplete line is removed");
        assert_eq!(open(170, 230).unwrap(), "160.000,2\n220.000,3\n");
        assert_eq!(open(160, 220).unwrap(), "160.000,2\n");
        let [from, until] = [90, 1000].map(Duration::from_secs);
        let first = Saved::open(file.path(), "a", Span { from, until }).unwrap();
        let error = open(90, 1000).unwrap_err().to_string();
        assert!(error.contains("another replay writes it"), "{error}");
        drop(first);
        let late = Span { from: Duration::ZERO, until: Duration::from_secs(1000) };
        std::fs::write(file.path(), format!("{}9000.000,1\n", header("a"))).unwrap();
        let error = Saved::open(file.path(), "a", late).err().unwrap().to_string();
        assert!(error.contains("it begins after --from"), "{error}");
    }
}
