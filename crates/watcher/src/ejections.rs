//! The ejections that outlive a watcher, as the value of an annotation of the object.
//!
//! The value is a list such as `burst until 2026-11-25T09:00:00Z after 2 failures`.

use std::time::{Duration, UNIX_EPOCH};

use contract::Cluster;
use humantime::{format_rfc3339_seconds, parse_rfc3339};
use policy::Ejection;

/// The longest value that is read, in bytes.
const MAX_LENGTH: usize = 256;

/// Writes ejections as the value of the annotation; `None` if there are none.
pub(crate) fn to_annotation(ejections: &[Ejection]) -> Option<String> {
    let text = |ejection: &Ejection| {
        let Ejection { cluster, until, failures } = ejection;
        let until = format_rfc3339_seconds(UNIX_EPOCH + *until);
        format!("{cluster} until {until} after {failures} failures")
    };
    let all: Vec<_> = ejections.iter().map(text).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Reads the value of the annotation. What cannot be read is left out: it is only a memory.
pub(crate) fn from_annotation(value: &str) -> Vec<Ejection> {
    if MAX_LENGTH < value.len() {
        return Vec::new();
    }
    value.split(", ").filter_map(parse).collect()
}

fn parse(text: &str) -> Option<Ejection> {
    let (name, rest) = text.split_once(" until ")?;
    let (until, rest) = rest.split_once(" after ")?;
    let failures = rest.strip_suffix(" failures")?.parse().ok()?;
    let cluster = Cluster::ALL.into_iter().find(|cluster| cluster.name() == name)?;
    let until = parse_rfc3339(until).ok()?.duration_since(UNIX_EPOCH).ok()?;
    (until < Duration::from_secs(u32::MAX.into())).then_some(Ejection { cluster, until, failures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let ejection = |cluster, until, failures| {
            let until = Duration::from_secs(until);
            Ejection { cluster, until, failures }
        };
        let both = [ejection(Cluster::Primary, 0, 1), ejection(Cluster::Burst, 1_800_000_000, 12)];
        let text = to_annotation(&both).unwrap();
        assert!(text.contains("burst until 2027-01-15T08:00:00Z after 12 failures"), "{text}");
        assert_eq!(from_annotation(&text), both);
        assert_eq!(to_annotation(&[]), None);
        for wrong in ["", "burst", "burst until never after 1 failures", &"x".repeat(10_000)] {
            assert_eq!(from_annotation(wrong), [], "{wrong}");
        }
    }
}
