//! What a trace may look like, and what is said of one that cannot be read.

use std::io::{BufReader, Cursor};

use replay::Trace;

fn read(text: &str) -> Result<Vec<Option<f64>>, String> {
    let trace = Trace::new(Cursor::new(text));
    trace.map(|second| second.map_err(|error| error.to_string())).collect()
}

#[track_caller]
fn check(text: &str, expected: &[Option<f64>]) {
    assert_eq!(read(text).unwrap(), expected, "{text:?}");
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = read(text).unwrap_err();
    assert!(error.contains(expected), "{text:?}: {error} does not say {expected:?}");
}

#[test]
fn counts_are_one_a_line() {
    check("3\n0\n2.5\n", &[Some(3.0), Some(0.0), Some(2.5)]);
    check("count\r\n3\r\n4\r\n", &[Some(3.0), Some(4.0)]);
    check("\n\n 3\n4", &[Some(3.0), Some(4.0)]);
    check("\u{feff}3\n4", &[Some(3.0), Some(4.0)]);
    check("\u{feff}time,rate\n1,3\n2,4\n", &[Some(3.0), Some(4.0)]);
    check("3\n\nNaN\n4\n", &[Some(3.0), None, None, Some(4.0)]);
}

#[test]
fn rates_hold_until_the_next_line() {
    check("time,rate\n100,3\n102,5\n104,1\n", &[3.0, 3.0, 5.0, 5.0, 1.0, 1.0].map(Some));
    // The distance of two lines need not be whole seconds.
    check("0,2\n0.5,4\n1.0,6\n1.5,6\n", &[Some(3.0), Some(6.0)]);
    check("0,1\n1.5,3\n", &[Some(1.0), Some(2.0), Some(3.0)]);
}

#[test]
fn what_is_missing_is_unknown() {
    check("0,3\n1,3\n4,5\n", &[Some(3.0), Some(3.0), None, None, Some(5.0)]);
    check("0,3\n1,\n2,5\n", &[Some(3.0), None, Some(5.0)]);
}

#[test]
fn times_have_any_zone() {
    let text = "\"time\",rate\n2026-03-29T00:59:58Z,1\n2026-03-29T02:59:59+02:00,2\n2026-03-28T20:00:00-05:00,3\n";
    check(text, &[1.0, 2.0, 3.0].map(Some));
    refused("0,1\n2026-03-29 00:59:58,1\n", "line 2, column 1: \"2026-03-29 00:59:58\"");
}

#[test]
fn a_bad_trace_is_refused_with_the_line_and_the_column() {
    refused("", "it has no line with a value; accepted: two seconds or more");
    refused("\n\n", "no line with a value");
    refused("count\n", "no line with a value");
    refused("5\n", "it has one second");
    refused("0,5\n", "it has no line with a value");
    refused("1\n2\n-3\n", "line 3, column 1: \"-3\" is not accepted; accepted: a number, 0 to");
    refused("1\n  x\n", "line 2, column 3: \"x\"");
    refused("1\ninf\n", "line 2, column 1: \"inf\"");
    refused("0,1\n1,-2\n", "line 2, column 3: \"-2\"");
    refused("0,1\n1,1e300\n", "line 2, column 3: \"1e300\"");
    refused("5,1\n4,1\n", "line 2, column 1: \"4\" is not after the line before");
    refused("5,1\n5,1\n", "line 2, column 1: \"5\" is not after");
    refused("0,1\n1e11,1\n", "more than a year after");
    refused("0,1\n1795975200000,1\n", "accepted: seconds since 1970, not milliseconds");
    refused("rate,time\n5,1\n", "line 1, column 1: the time is the second column");
    refused("0,1,7\n", "line 1, column 5: a third column; accepted: time,rate");
    refused("0,1\n2\n", "line 2, column 2: a column is missing");
    refused(&format!("1\n{}\n", "1,".repeat(1_000_000)), "line 2, column 1: it has more than 1024");
    let mut bytes = b"1\n2\n".to_vec();
    bytes.extend([0xff, b'\n']);
    let mut trace = Trace::new(BufReader::new(Cursor::new(bytes)));
    let error = trace.find_map(Result::err).unwrap().to_string();
    assert!(error.starts_with("line 3, column 1: it is not UTF-8"), "{error}");
    assert!(trace.next().is_none(), "it ends with the first error");
}

#[test]
fn a_trace_is_read_as_it_is_played() {
    // An endless input shows that nothing reads ahead.
    let endless = BufReader::new(std::io::Read::chain(Cursor::new("7\n"), std::io::repeat(b'\n')));
    let seconds: Vec<_> = Trace::new(endless).take(3).map(Result::unwrap).collect();
    assert_eq!(seconds, [Some(7.0), None, None]);
}
