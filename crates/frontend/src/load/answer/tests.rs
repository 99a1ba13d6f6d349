use proptest::prelude::*;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\n";

fn parsed(text: &str, has_ended: bool) -> Result<Option<Answer>, Malformed> {
    parse(text.as_bytes(), has_ended)
}

/// Checks a whole answer: its status, and whether its connection can be used again. No part of it may be taken for
/// a whole one, and it must not matter that more is to come.
#[track_caller]
fn check(text: &str, status: u16, is_reusable: bool) {
    let answer = parsed(text, false).unwrap().unwrap();
    assert_eq!((answer.status, answer.is_reusable), (status, is_reusable), "{text:?}");
    for length in 0..text.len() {
        assert_eq!(parsed(&text[..length], false), Ok(None), "{:?}", &text[..length]);
        assert_eq!(parsed(&text[..length], true), Err(Malformed), "{:?}", &text[..length]);
    }
    let with_more = parsed(&format!("{text}HTTP/1.1 200"), false).unwrap().unwrap();
    assert_eq!((with_more.status, with_more.is_reusable), (status, false), "{text:?}");
}

#[track_caller]
fn check_malformed(text: &str) {
    assert_eq!(parsed(text, false), Err(Malformed), "{text:?}");
}

#[test]
fn the_length_ends_a_body() {
    check(&format!("{OK}content-length: 2\r\n\r\nOK"), 200, true);
    check(&format!("{OK}Content-Length: 0\r\n\r\n"), 200, true);
    check("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy", 503, true);
    check("HTTP/1.1 204 No Content\r\n\r\n", 204, true);
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, true);
}

#[test]
fn the_last_chunk_ends_a_body() {
    let chunked = format!("{OK}transfer-encoding: chunked\r\n\r\n");
    check(&format!("{chunked}0\r\n\r\n"), 200, true);
    check(&format!("{chunked}2\r\nOK\r\n0\r\n\r\n"), 200, true);
    check(&format!("{chunked}1;a=b\r\nO\r\n1\r\nK\r\n0\r\ntrailer: x\r\n\r\n"), 200, true);
    // The chunks count, and not the length.
    check(
        &format!("{OK}content-length: 90\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n"),
        200,
        true,
    );
}

#[test]
fn without_a_length_the_connection_ends_a_body() {
    for head in [OK.to_owned(), format!("{OK}transfer-encoding: gzip\r\n")] {
        let text = format!("{head}\r\nany text");
        assert_eq!(parsed(&text, false), Ok(None));
        let answer = Answer { status: 200, calculation: None, is_reusable: false };
        assert_eq!(parsed(&text, true), Ok(Some(answer)));
    }
}

#[test]
fn a_connection_is_used_again_only_if_the_worker_keeps_it() {
    for (head, is_reusable) in [
        ("HTTP/1.1 200 OK\r\nconnection: close", false),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close", false),
        ("HTTP/1.1 200 OK\r\nconnection: keep-alive", true),
        ("HTTP/1.0 200 OK\r\nx: y", false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive", true),
    ] {
        check(&format!("{head}\r\ncontent-length: 0\r\n\r\n"), 200, is_reusable);
    }
}

#[test]
fn the_calculation_is_in_its_header() {
    let text = format!("{OK}X-Calculation: bursty-abc=\r\ncontent-length: 2\r\n\r\nOK");
    let answer = parsed(&text, false).unwrap().unwrap();
    assert_eq!(answer.calculation.as_deref(), Some("bursty-abc="));
}

#[test]
fn what_is_no_answer_is_refused() {
    check_malformed("SSH-2.0-OpenSSH_9.2\r\n");
    check_malformed("HTTP/2.0 200 OK\r\n\r\n");
    for length in ["-1", "+1", "x", "1, 1", "99999999999999999999", "65537"] {
        check_malformed(&format!("{OK}content-length: {length}\r\n\r\n"));
    }
    check_malformed(&format!("{OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab"));
    check_malformed(&format!("{OK}transfer-encoding: chunked\r\n\r\nx\r\n"));
    check_malformed(&format!("{OK}transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n"));
    check_malformed(&format!("{OK}{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1)));
    check_malformed(&format!("{OK}\r\n{}", "x".repeat(MAX_ANSWER)));
}

proptest! {
    /// Whatever arrives, in whatever pieces: no panic, and an answer stays the same when more arrives.
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), head: bool) {
        let start = if head { format!("{OK}transfer-encoding: chunked\r\n\r\n") } else { String::new() };
        let all = [start.as_bytes(), &bytes].concat();
        for length in 0..all.len() {
            if let Ok(Some(answer)) = parse(&all[..length], false) {
                let later = parse(&all, false).unwrap().unwrap();
                prop_assert_eq!((answer.status, answer.calculation), (later.status, later.calculation));
            }
        }
    }
}
