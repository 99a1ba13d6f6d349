//! What fuzzing has come upon (`fuzz/corpus`) is read again by every test run.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::{fs, path::Path};

use contract::{RedisUrl, Work};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(files.len() >= 10);
    files
}

#[test]
fn work_is_read_as_it_is_written() {
    let bodies = corpus("work");
    let works: Vec<_> =
        bodies.iter().filter_map(|body| serde_json::from_slice::<Work<'_>>(body).ok()).collect();
    assert!((4..bodies.len()).contains(&works.len()), "some are work, and some are not");
    for work in works {
        let written = serde_json::to_string(&work).unwrap();
        assert_eq!(serde_json::from_str::<Work<'_>>(&written).unwrap(), work);
    }
}

#[test]
fn an_address_of_redis_is_read_as_it_is_written() {
    let texts: Vec<_> =
        corpus("redis_url").into_iter().filter_map(|text| String::from_utf8(text).ok()).collect();
    let urls: Vec<_> = texts.iter().filter_map(|text| text.parse::<RedisUrl>().ok()).collect();
    assert!((4..texts.len()).contains(&urls.len()), "some are addresses, and some are not");
    for url in urls {
        assert_eq!(url.as_str().parse::<RedisUrl>().unwrap(), url);
    }
}
