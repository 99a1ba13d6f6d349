//! Reads a recorded load: a count for each second, one in a line; or `time,rate` in CSV.

use std::{
    collections::VecDeque,
    io::{BufRead, Read as _},
};

use jiff::Timestamp;

/// The longest line, in bytes.
const MAX_LINE: u64 = 1024;

/// A pause that is longer than so many usual distances of the lines is a gap.
const GAP: f64 = 1.5;

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
    /// The last row of CSV, and the usual distance of two rows.
    last: Option<Row>,
    step: Option<f64>,
    second: PartialSecond,
    /// Parts of the trace that are not yet divided into seconds.
    parts: VecDeque<Part>,
    seconds: u64,
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

/// A part of the trace with one rate; `None` if it is unknown.
#[derive(Clone, Copy, Debug)]
struct Part {
    seconds: f64,
    rate: Option<f64>,
}

/// A second that is not complete.
#[derive(Clone, Copy, Debug, Default)]
struct PartialSecond {
    filled: f64,
    requests: f64,
    is_unknown: bool,
}

impl<R: BufRead> Trace<R> {
    /// Reads from `input`, a line at a time.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            buffer: Vec::new(),
            format: None,
            last: None,
            step: None,
            second: PartialSecond::default(),
            parts: VecDeque::new(),
            seconds: 0,
            is_over: false,
        }
    }

    fn next_second(&mut self) -> Result<Option<Option<f64>>, TraceError> {
        loop {
            while let Some(part) = self.parts.front_mut() {
                let second = self.second.fill(part);
                if part.seconds <= 1e-9 {
                    self.parts.pop_front();
                }
                if second.is_some() {
                    self.seconds += 1;
                    return Ok(second);
                }
            }
            if self.is_over {
                return match self.seconds {
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
            self.is_over = true;
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
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        match self.format {
            None if text.trim().is_empty() => Ok(()),
            None => self.read_first(&text),
            Some(Format::Counts) => {
                let rate =
                    parse_rate(&text, 0).map_err(|(column, problem)| refuse(column, problem))?;
                self.parts.push_back(Part { seconds: 1.0, rate });
                Ok(())
            }
            Some(Format::Csv) => self.read_row(&text),
        }
    }

    /// The first line shows the format. It may be the names of the columns.
    fn read_first(&mut self, text: &str) -> Result<(), TraceError> {
        let is_header =
            text.chars().next().is_some_and(|first| first.is_alphabetic() || first == '"');
        self.format = Some(if text.contains(',') { Format::Csv } else { Format::Counts });
        match self.format {
            _ if is_header && self.line == 1 && parse_rate(text, 0).is_err() => Ok(()),
            Some(Format::Csv) => self.read_row(text),
            _ => {
                let line = self.line;
                let rate = parse_rate(text, 0).map_err(|(column, problem)| TraceError::Value {
                    line,
                    column,
                    problem,
                })?;
                self.parts.push_back(Part { seconds: 1.0, rate });
                Ok(())
            }
        }
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
        self.last = Some(Row { at, rate });
        Ok(())
    }

    /// Adds the time from a row to the next one.
    fn pass(&mut self, row: Row, distance: f64) {
        let step = self.step.map_or(distance, |step| step.min(distance));
        self.step = Some(step);
        let known = if distance <= step * GAP { distance } else { step };
        self.parts.push_back(Part { seconds: known, rate: row.rate });
        if known < distance {
            self.parts.push_back(Part { seconds: distance - known, rate: None });
        }
    }

    /// The last row holds as long as the others.
    fn end(&mut self) {
        if let (Some(row), Some(step)) = (self.last.take(), self.step) {
            self.parts.push_back(Part { seconds: step, rate: row.rate });
        }
    }
}

impl PartialSecond {
    /// Takes from a part what is missing to a second; returns the requests of a complete one.
    fn fill(&mut self, part: &mut Part) -> Option<Option<f64>> {
        let taken = part.seconds.min(1.0 - self.filled);
        part.seconds -= taken;
        self.filled += taken;
        match part.rate {
            Some(rate) => self.requests += rate * taken,
            None => self.is_unknown = true,
        }
        if self.filled < 1.0 - 1e-9 {
            return None;
        }
        let Self { requests, is_unknown, .. } = std::mem::take(self);
        Some((!is_unknown).then_some(requests))
    }
}

impl<R: BufRead> Iterator for Trace<R> {
    type Item = Result<Option<f64>, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_second() {
            Ok(second) => second.map(Ok),
            Err(error) => {
                self.is_over = true;
                self.parts.clear();
                self.seconds = 2;
                Some(Err(error))
            }
        }
    }
}

/// Parses a rate; an empty text and `NaN` are unknown. The error has its column.
fn parse_rate(text: &str, offset: usize) -> Result<Option<f64>, (usize, String)> {
    let column = offset + text.chars().take_while(|letter| letter.is_whitespace()).count() + 1;
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("nan") {
        return Ok(None);
    }
    let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=MAX_RATE).contains(rate));
    rate.map(Some).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        (column, format!("{shown:?} is not accepted; accepted: a number, 0 to {MAX_RATE}"))
    })
}

/// The largest rate, in requests per second.
const MAX_RATE: f64 = 1e9;

/// Parses a time: seconds since 1970, or a date and a time with their distance from UTC.
fn parse_time(text: &str) -> Result<f64, String> {
    let text = text.trim().trim_matches('"');
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok(seconds);
    }
    let time = text.parse::<Timestamp>();
    time.map(|time| time.as_millisecond() as f64 / 1000.0).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        format!(
            "{shown:?} is not accepted; accepted: seconds since 1970, or a time such as 2026-11-29T18:00:00Z or 2026-11-29T19:00:00+01:00"
        )
    })
}
