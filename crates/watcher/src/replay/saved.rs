//! A load that is saved while it is read, so that an interrupted reading can go on.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Take, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

/// The longest name of a load in the file, in characters: a line of a trace has at most 1024 bytes.
const MAX_NAME: usize = 200;

/// The file of `--save`.
pub(super) struct Saved {
    /// Where the next lines go.
    pub(super) file: File,
    /// Intervals that begin earlier are in the file; `None` if it holds none.
    pub(super) continues_at: Option<Duration>,
    path: PathBuf,
    /// The bytes that it holds already.
    length: u64,
}

impl Saved {
    /// Opens the file, or makes a new one for the load of this query. What an interrupted write left
    /// incomplete is removed.
    pub(super) fn open(path: &Path, query: &str) -> anyhow::Result<Self> {
        let name = || format!("--save: {}", path.display());
        let options = || OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = options().with_context(name)?;
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
        let (mut length, mut last, mut line) = (header.len() as u64, None, Vec::new());
        let mut lines = BufReader::new(&file);
        while 0 < lines.read_until(b'\n', &mut line).with_context(name)? && line.ends_with(b"\n") {
            length += line.len() as u64;
            last = Some(std::mem::take(&mut line));
        }
        file.set_len(length).with_context(name)?;
        // The file has milliseconds.
        let continues_at = last.as_deref().and_then(time).map(|at| at + Duration::from_millis(1));
        Ok(Self { file, continues_at, path: path.to_owned(), length })
    }

    /// What it holds already.
    pub(super) fn text(&self) -> io::Result<Take<File>> {
        // Two handles, because a write moves the place where a handle reads.
        Ok(File::open(&self.path)?.take(self.length))
    }
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
