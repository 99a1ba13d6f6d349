//! The duration of a calculation: `cargo bench -p worker`.

fn main() {
    divan::main();
}

/// The frontend's texts have 11 characters. The longest accepted text has about 100,000.
#[divan::bench(args = [11, 44, 1_000, 100_000])]
fn by_length(bencher: divan::Bencher<'_, '_>, length: usize) {
    let text = "x".repeat(length);
    bencher.bench(|| worker::calculate("bursty-", 1, divan::black_box(&text)));
}

#[divan::bench(args = [1, 10, 100, 1_000, 10_000])]
fn by_rounds(rounds: u32) -> String {
    worker::calculate("", divan::black_box(rounds), "abcdefghijk")
}

/// For comparison, the cost of parsing the body.
#[divan::bench]
fn parsing_the_body() -> usize {
    let body = divan::black_box(r#"{"str":"abcdefghijk"}"#);
    serde_json::from_str::<contract::Work<'_>>(body).map_or(0, |work| work.text.len())
}
