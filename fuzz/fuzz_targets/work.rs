//! The body of a request for work: `Work` has the same text as `serde_json::Value`.

#![no_main]

use contract::Work;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let Ok(text) = std::str::from_utf8(body) else { return };
    let Ok(work) = serde_json::from_str::<Work<'_>>(text) else { return };
    // `Value` refuses half a surrogate pair also in a field that `Work` ignores.
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        assert_eq!(value["str"].as_str(), Some(&*work.text));
    }
    let written = serde_json::to_string(&work).expect("a string is JSON");
    let again: Work<'_> = serde_json::from_str(&written).expect("the written body can be read");
    assert_eq!(again, work);
});
