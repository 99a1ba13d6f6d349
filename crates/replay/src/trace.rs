//! Reads a recorded load: a count for each second, one in a line; or `time,rate` in CSV.

mod seconds;
mod values;

use std::{
    collections::VecDeque,
    io::{BufRead, Read as _},
};

use seconds::{Second, Seconds};
use values::{parse_rate, parse_time};

/// The longest line, in bytes.
const MAX_LINE: u64 = 1024;

/// A pause that is longer than so many usual distances of the lines is a gap.
const GAP: f64 = 1.5;

/// The usual distance of two lines is the median of so many.
const DISTANCES: usize = 15;

/// The longest pause between two lines: a year. A longer one is a wrong time.
const MAX_PAUSE: f64 = 366.0 * 86_400.0;

/// What is wrong with a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A value is not accepted.
    #[error("line {line}, column {column}: {problem}")]
    Value {
        /// The line, from 1.
        line: u64,
        /// The column of the value's first character, from 1.
        column: usize,
        /// What is wrong, and what is accepted.
        problem: String,
    },
    /// The trace is too short.
    #[error("it has {0}; accepted: two seconds or more")]
    TooShort(&'static str),
    /// It cannot be read.
    #[error("line {line}: {error}")]
    Unreadable {
        /// The line, from 1.
        line: u64,
        /// What happened.
        error: std::io::Error,
    },
}

/// The requests of one second after the other; `None` for a second of which nothing is known.
pub struct Trace<R> {
    input: R,
    line: u64,
    buffer: Vec<u8>,
    format: Option<Format>,
    /// The time of the first row of CSV.
    start: Option<f64>,
    /// The last row of CSV.
    last: Option<Row>,
    /// The last distances of two rows.
    distances: VecDeque<f64>,
    seconds: Seconds,
    /// The number of seconds that were taken.
    taken: u64,
    /// Whether the input has ended.
    is_read: bool,
    /// Whether there is nothing more to say, at the end or after an error.
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Counts,
    Csv,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    at: f64,
    /// Requests per second; `None` if unknown.
    rate: Option<f64>,
}

impl<R: BufRead> Trace<R> {
    /// Reads from `input`, a line at a time.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            buffer: Vec::new(),
            format: None,
            start: None,
            last: None,
            distances: VecDeque::new(),
            seconds: Seconds::default(),
            taken: 0,
            is_read: false,
            is_over: false,
        }
    }

    /// The time of the first line, in seconds since 1970; `None` if the lines have no times, or none is read.
    #[must_use]
    pub fn start(&self) -> Option<f64> {
        self.start
    }

    fn next_second(&mut self) -> Result<Option<Second>, TraceError> {
        loop {
            if let Some(second) = self.seconds.next() {
                self.taken += 1;
                return Ok(Some(second));
            }
            if self.is_read {
                return match self.taken {
                    0 => Err(TraceError::TooShort("no line with a value")),
                    1 => Err(TraceError::TooShort("one second")),
                    _ => Ok(None),
                };
            }
            self.read_line()?;
        }
    }

    /// Reads a line, and adds the parts that it shows.
    fn read_line(&mut self) -> Result<(), TraceError> {
        self.line += 1;
        self.buffer.clear();
        let line = self.line;
        let mut limited = self.input.by_ref().take(MAX_LINE + 1);
        let read = limited.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|error| TraceError::Unreadable { line, error })?;
        if read == 0 {
            self.is_read = true;
            self.end();
            return Ok(());
        }
        let refuse = |column: usize, problem: String| TraceError::Value { line, column, problem };
        if MAX_LINE < read as u64 {
            let problem =
                format!("it has more than {MAX_LINE} bytes; accepted: a count, or time,rate");
            return Err(refuse(1, problem));
        }
        let text = str::from_utf8(&self.buffer).map_err(|error| {
            refuse(
                error.valid_up_to() + 1,
                "it is not UTF-8; accepted: a count, or time,rate".to_owned(),
            )
        })?;
        // Some programs begin a file with the mark of its byte order.
        let text = if line == 1 { text.trim_start_matches('\u{feff}') } else { text };
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        match self.format {
            None if text.trim().is_empty() => Ok(()),
            None => self.read_first(&text),
            Some(Format::Counts) => self.read_count(&text),
            Some(Format::Csv) => self.read_row(&text),
        }
    }

    /// The first line shows the format. It may be the names of the columns.
    fn read_first(&mut self, text: &str) -> Result<(), TraceError> {
        let is_header =
            text.chars().next().is_some_and(|first| first.is_alphabetic() || first == '"');
        self.format = Some(if text.contains(',') { Format::Csv } else { Format::Counts });
        match self.format {
            _ if is_header && self.line == 1 && parse_rate(text, 0).is_err() => check_names(text),
            Some(Format::Csv) => self.read_row(text),
            _ => self.read_count(text),
        }
    }

    fn read_count(&mut self, text: &str) -> Result<(), TraceError> {
        let line = self.line;
        let rate = parse_rate(text, 0).map_err(|(column, problem)| TraceError::Value {
            line,
            column,
            problem,
        })?;
        self.seconds.push(1.0, rate);
        Ok(())
    }

    fn read_row(&mut self, text: &str) -> Result<(), TraceError> {
        let line = self.line;
        if text.trim().is_empty() {
            return Ok(());
        }
        let refuse = |column: usize, problem: String| TraceError::Value { line, column, problem };
        let Some((time, rest)) = text.split_once(',') else {
            return Err(refuse(
                text.chars().count() + 1,
                "a column is missing; accepted: time,rate".to_owned(),
            ));
        };
        let second = time.chars().count() + 1;
        if let Some((rate, _)) = rest.split_once(',') {
            let column = second + rate.chars().count() + 2;
            return Err(refuse(column, "a third column; accepted: time,rate".to_owned()));
        }
        let at = parse_time(time).map_err(|problem| refuse(1, problem))?;
        let rate = parse_rate(rest, second).map_err(|(column, problem)| refuse(column, problem))?;
        if let Some(last) = self.last {
            let distance = at - last.at;
            if distance <= 0.0 {
                return Err(refuse(
                    1,
                    format!("{time:?} is not after the line before; accepted: times that grow"),
                ));
            }
            if MAX_PAUSE < distance {
                return Err(refuse(
                    1,
                    format!("{time:?} is more than a year after the line before; accepted: less"),
                ));
            }
            self.pass(last, distance);
        }
        self.start.get_or_insert(at);
        self.last = Some(Row { at, rate });
        Ok(())
    }

    /// Adds the time from a row to the next one.
    fn pass(&mut self, row: Row, distance: f64) {
        self.distances.push_back(distance);
        if DISTANCES < self.distances.len() {
            self.distances.pop_front();
        }
        let usual = self.usual_distance().unwrap_or(distance);
        let known = if distance <= usual * GAP { distance } else { usual };
        self.seconds.push(known, row.rate);
        if known < distance {
            self.seconds.push(distance - known, None);
        }
    }

    fn usual_distance(&self) -> Option<f64> {
        let mut distances: Vec<_> = self.distances.iter().copied().collect();
        distances.sort_unstable_by(f64::total_cmp);
        distances.get(distances.len().saturating_sub(1) / 2).copied()
    }

    /// The last row holds as long as the others.
    fn end(&mut self) {
        if let (Some(row), Some(usual)) = (self.last.take(), self.usual_distance()) {
            self.seconds.push(usual, row.rate);
        }
    }
}

impl<R: BufRead> Iterator for Trace<R> {
    type Item = Result<Option<f64>, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let second = self.next_second();
        self.is_over = !matches!(second, Ok(Some(_)));
        second.map(|second| second.map(|Second(requests)| requests)).transpose()
    }
}

/// Refuses the names of columns that are the other way round.
fn check_names(text: &str) -> Result<(), TraceError> {
    let names: Vec<_> =
        text.split(',').map(|name| name.trim_matches(['"', ' ']).to_lowercase()).collect();
    let is_swapped = names.len() == 2 && ["time", "timestamp", "date"].contains(&names[1].as_str());
    if !is_swapped {
        return Ok(());
    }
    let problem = "the time is the second column; accepted: time,rate".to_owned();
    Err(TraceError::Value { line: 1, column: 1, problem })
}
