//! Traces, and what the rules make of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod rules;
mod shapes;
mod traces;
