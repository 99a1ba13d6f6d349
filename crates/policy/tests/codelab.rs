//! The codelab shows the rule of the threshold policy as it is in the source.

const CODELAB: &str = include_str!("../../../docs/codelab.md");
const SOURCE: &str = include_str!("../src/threshold.rs");

#[test]
fn the_codelab_quotes_the_threshold_policy() {
    let (_, rest) = CODELAB.split_once("```rust\n").expect("the codelab shows no Rust");
    let (quoted, _) = rest.split_once("```").expect("the block has no end");
    let quoted: Vec<_> = lines(quoted).collect();
    assert!(quoted.len() > 5, "{quoted:?}");
    let mut source = lines(SOURCE);
    for line in quoted {
        assert!(source.any(|other| other == line), "not in threshold.rs, or not in order: {line}");
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}
