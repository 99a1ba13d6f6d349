//! How long the calculation itself takes: `cargo bench -p worker`.

fn main() {
    divan::main();
}

/// The frontend's strings have 11 characters; the largest body that is read has about 100,000.
#[divan::bench(args = [11, 44, 1_000, 100_000])]
fn of_length(bencher: divan::Bencher<'_, '_>, length: usize) {
    let text = "x".repeat(length);
    bencher.bench(|| worker::calculation("bursty-", 1, divan::black_box(&text)));
}

#[divan::bench(args = [1, 10, 100, 1_000, 10_000])]
fn of_rounds(rounds: u32) -> String {
    worker::calculation("", divan::black_box(rounds), "abcdefghijk")
}

/// What the request itself costs beside it.
#[divan::bench]
fn reading_the_body() -> usize {
    let body = divan::black_box(r#"{"str":"abcdefghijk"}"#);
    serde_json::from_str::<contract::Work<'_>>(body).map_or(0, |work| work.text.len())
}
