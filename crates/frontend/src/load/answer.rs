//! Reads an answer of HTTP/1.1, as RFC 9112 frames it: its status, its calculation, and whether its connection can
//! be used again. The body is not kept. Nothing here reads from a connection: bytes are an argument.

use std::{mem::MaybeUninit, str};

use contract::calculation;
use httparse::{Header, Response, Status};

/// The largest answer, in bytes, with its head. `OK` has two, and its head some two hundred.
const MAX_ANSWER: usize = 64 * 1024;

/// How many headers an answer may have.
const MAX_HEADERS: usize = 64;

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) calculation: Option<String>,
    pub(super) is_reusable: bool,
}

/// The bytes are no answer of HTTP/1.1, or one that is too large.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Where a body ends.
enum End {
    After(usize),
    Chunked,
    WithConnection,
}

/// Parses what a connection has sent; `None` if the answer is not complete. `has_ended` says that nothing follows.
///
/// # Errors
/// When no further bytes can make an answer of these.
pub(super) fn parse(mut bytes: &[u8], has_ended: bool) -> Result<Option<Answer>, Malformed> {
    let can_go_on = !has_ended && bytes.len() <= MAX_ANSWER;
    let incomplete = if can_go_on { Ok(None) } else { Err(Malformed) };
    loop {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut head = Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut head, bytes, &mut headers)
            .map_err(|_| Malformed)?;
        let Status::Complete(length) = parsed else { return incomplete };
        bytes = &bytes[length..];
        // An interim answer comes before the answer itself.
        if head.code.is_some_and(|status| (100..200).contains(&status)) {
            continue;
        }
        let Some(rest) = after_body(end(&head)?, bytes, has_ended)? else { return incomplete };
        let is_reusable = rest == 0 && !has_ended && is_kept_alive(&head);
        let calculation = value(&head, calculation::HEADER).map(str::to_owned);
        return Ok(Some(Answer { status: head.code.unwrap_or(0), calculation, is_reusable }));
    }
}

/// How many bytes follow a body; `None` if it is not complete.
fn after_body(end: End, bytes: &[u8], has_ended: bool) -> Result<Option<usize>, Malformed> {
    match end {
        End::After(length) => Ok(bytes.len().checked_sub(length)),
        End::Chunked => after_chunks(bytes),
        End::WithConnection => Ok(has_ended.then_some(0)),
    }
}

fn end(head: &Response<'_, '_>) -> Result<End, Malformed> {
    if matches!(head.code, Some(204 | 304)) {
        return Ok(End::After(0));
    }
    if let Some(coding) = value(head, "transfer-encoding") {
        let last = coding.rsplit(',').next().unwrap_or_default().trim();
        let is_chunked = last.eq_ignore_ascii_case("chunked");
        return Ok(if is_chunked { End::Chunked } else { End::WithConnection });
    }
    let Some(length) = value(head, "content-length") else { return Ok(End::WithConnection) };
    let is_again = |header: &&Header<'_>| header.name.eq_ignore_ascii_case("content-length");
    let is_one =
        head.headers.iter().filter(is_again).all(|header| header.value == length.as_bytes());
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
    let length = length.parse().ok().filter(|length| is_number && is_one && *length <= MAX_ANSWER);
    length.map(End::After).ok_or(Malformed)
}

/// How many bytes follow the last chunk and its trailers; `None` if they are not complete.
fn after_chunks(mut bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    loop {
        let chunk = httparse::parse_chunk_size(bytes).map_err(|_| Malformed)?;
        let Status::Complete((start, length)) = chunk else { return Ok(None) };
        bytes = &bytes[start..];
        if length == 0 {
            break;
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_ANSWER);
        let after = length.ok_or(Malformed)? + 2;
        let Some(rest) = bytes.get(after..) else { return Ok(None) };
        bytes = rest;
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(bytes, &mut headers).map_err(|_| Malformed)? {
        Status::Complete((length, _)) => Ok(Some(bytes.len() - length)),
        Status::Partial => Ok(None),
    }
}

fn is_kept_alive(head: &Response<'_, '_>) -> bool {
    let connection = value(head, "connection").unwrap_or_default();
    let has =
        |option: &str| connection.split(',').any(|one| one.trim().eq_ignore_ascii_case(option));
    // A version of 0 is HTTP/1.0.
    if head.version == Some(0) { has("keep-alive") } else { !has("close") }
}

/// The first value of a header, if it is text.
fn value<'a>(head: &Response<'_, 'a>, name: &str) -> Option<&'a str> {
    let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    str::from_utf8(header.value).ok()
}

#[cfg(test)]
mod tests;
