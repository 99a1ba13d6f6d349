//! What the watcher understands of PromQL.

mod range;
mod selector;

pub(crate) use range::{RangeSelector, outside_of_strings, range_selectors, without_comments};
pub(crate) use selector::Selector;
