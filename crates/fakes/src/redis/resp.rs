//! The Redis protocol: it parses commands and writes replies, in versions 2 and 3.
//!
//! It is our own, because the embeddable servers on crates.io depend on unmaintained crates, and
//! their codecs have no limit on memory.

use anyhow::{Context as _, bail, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};

/// The largest number of arguments of a command, with its name.
const MAX_ARGUMENTS: usize = 1024;

/// The largest argument, in bytes.
const MAX_ARGUMENT: usize = 1024 * 1024;

/// The largest command, in bytes.
const MAX_COMMAND: usize = 2 * MAX_ARGUMENT;

/// The longest line of a number, with its first character and its end.
const MAX_LINE: usize = 32;

/// Takes one command from the start of `buffer`; `None` if it is not complete.
///
/// # Errors
/// When the buffer does not start with a command, or the command exceeds the limits.
pub(super) fn take_command(buffer: &mut BytesMut) -> anyhow::Result<Option<Vec<Bytes>>> {
    let mut rest: &[u8] = buffer;
    let Some(count) = take_number(&mut rest, b'*', MAX_ARGUMENTS)? else { return Ok(None) };
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(length) = take_number(&mut rest, b'$', MAX_ARGUMENT)? else { return Ok(None) };
        let start = buffer.len() - rest.len();
        ensure!(start + length <= MAX_COMMAND, "command larger than {MAX_COMMAND} bytes");
        if rest.len() < length + 2 {
            return Ok(None);
        }
        ensure!(rest[length..].starts_with(b"\r\n"), "expected the end of a line");
        rest = &rest[length + 2..];
        spans.push(start..start + length);
    }
    let length = buffer.len() - rest.len();
    let command = buffer.split_to(length).freeze();
    Ok(Some(spans.into_iter().map(|span| command.slice(span)).collect()))
}

fn take_number(rest: &mut &[u8], kind: u8, max: usize) -> anyhow::Result<Option<usize>> {
    let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
        ensure!(rest.len() < MAX_LINE, "expected a short line");
        return Ok(None);
    };
    let Some((first, digits)) = rest[..end].split_first() else { bail!("expected a command") };
    ensure!(*first == kind, "expected '{}', got '{}'", char::from(kind), first.escape_ascii());
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let number = number.filter(|number| *number <= max);
    *rest = &rest[end + 2..];
    number.with_context(|| format!("expected a number up to {max}")).map(Some)
}

/// A reply of the server.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A short text, such as `OK`.
    Status(&'static str),
    /// An error.
    Error(String),
    /// A number.
    Number(usize),
    /// Any bytes.
    Bulk(Bytes),
    /// Nothing.
    Null,
    /// Several replies in one.
    Array(Vec<Self>),
    /// Names and values.
    Map(Vec<(&'static str, Self)>),
    /// A message without a command before it.
    Push(Vec<Self>),
}

impl Reply {
    /// Writes the reply, in the client's version of the protocol.
    pub(super) fn write(&self, version: u8, out: &mut BytesMut) {
        let is_third = version == 3;
        match self {
            Self::Status(text) => out.put_slice(format!("+{text}\r\n").as_bytes()),
            Self::Error(text) => out.put_slice(format!("-{text}\r\n").as_bytes()),
            Self::Number(number) => out.put_slice(format!(":{number}\r\n").as_bytes()),
            Self::Null if is_third => out.put_slice(b"_\r\n"),
            Self::Null => out.put_slice(b"$-1\r\n"),
            Self::Bulk(bytes) => {
                out.put_slice(format!("${}\r\n", bytes.len()).as_bytes());
                out.put_slice(bytes);
                out.put_slice(b"\r\n");
            }
            Self::Array(items) => write_all('*', items, version, out),
            Self::Push(items) => write_all(if is_third { '>' } else { '*' }, items, version, out),
            Self::Map(pairs) => {
                let (kind, length) =
                    if is_third { ('%', pairs.len()) } else { ('*', 2 * pairs.len()) };
                out.put_slice(format!("{kind}{length}\r\n").as_bytes());
                for (name, value) in pairs {
                    Self::bulk(name).write(version, out);
                    value.write(version, out);
                }
            }
        }
    }

    /// Makes a [`Reply::Bulk`] of a text.
    pub(super) fn bulk(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }
}

fn write_all(kind: char, items: &[Reply], version: u8, out: &mut BytesMut) {
    out.put_slice(format!("{kind}{}\r\n", items.len()).as_bytes());
    for item in items {
        item.write(version, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_commands_however_they_are_cut() {
        let wire = b"*2\r\n$4\r\nPING\r\n$2\r\n\r\n\r\n*1\r\n$4\r\nQUIT\r\n";
        let mut buffer = BytesMut::new();
        let mut commands = Vec::new();
        for byte in wire {
            buffer.put_u8(*byte);
            commands.extend(take_command(&mut buffer).unwrap());
        }
        assert_eq!(commands, [vec!["PING", "\r\n"], vec!["QUIT"]]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn refuses_what_is_no_command_before_it_is_collected() {
        let wires = [
            "GET / HTTP/1.1\r\n",
            "*-1\r\n",
            "*99999\r\n",
            "*1\r\n$99999999\r\n",
            "*1\r\n+PING\r\n",
            "*1\r\n$2\r\nPING\r\n",
            "*1111111111111111111111111111111111111111",
            "\r\n",
        ];
        for wire in wires {
            assert!(take_command(&mut BytesMut::from(wire)).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn writes_both_versions() {
        let reply = Reply::Map(vec![("proto", Reply::Number(3)), ("x", Reply::Null)]);
        let mut out = BytesMut::new();
        reply.write(3, &mut out);
        assert_eq!(&out[..], b"%2\r\n$5\r\nproto\r\n:3\r\n$1\r\nx\r\n_\r\n");
        out.clear();
        Reply::Push(vec![Reply::Array(vec![reply])]).write(2, &mut out);
        assert_eq!(&out[..], b"*1\r\n*1\r\n*4\r\n$5\r\nproto\r\n:3\r\n$1\r\nx\r\n$-1\r\n");
    }
}
