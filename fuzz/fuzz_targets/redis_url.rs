//! The address of Redis: the client accepts every address that `RedisUrl` accepts, an address
//! survives writing and reading, and its password is never shown.

#![no_main]

use contract::RedisUrl;
use libfuzzer_sys::fuzz_target;
use redis::IntoConnectionInfo as _;

fuzz_target!(|text: &str| {
    let Ok(url) = text.parse::<RedisUrl>() else { return };
    assert_eq!(url.as_str().parse::<RedisUrl>().as_ref(), Ok(&url));
    let info = url.as_str().into_connection_info().expect("the client accepts the address");
    let shown = url.to_string();
    assert_eq!(shown, format!("{url:?}"));
    if let Some(password) = info.redis_settings().password().filter(|password| !password.is_empty()) {
        let credentials = format!(":{password}@");
        assert!(password == "***" || !shown.contains(&credentials), "{shown} shows {password}");
    }
});
