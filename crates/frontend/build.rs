//! Writes `assets.rs`, which embeds our own files of the page.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use sha2::{Digest as _, Sha256};

/// Our own files, and how the page links each.
const OWN: [(&str, &str); 12] = [
    ("page.css", "Style"),
    ("first.js", "FirstScript"),
    ("chart.js", "Module"),
    ("clusters.js", "Module"),
    ("controls.js", "Module"),
    ("dom.js", "Module"),
    ("figures.js", "Module"),
    ("hashes.js", "Module"),
    ("settings.js", "Module"),
    ("story.js", "Module"),
    ("watcher.js", "Module"),
    ("page.js", "Entry"),
];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes its settings to a build script in the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Our files share one version, because modules import one another without a version.
    let mut all = Vec::new();
    for (file, _) in OWN {
        println!("cargo::rerun-if-changed=web/{file}");
        all.extend(fs::read(web.join(file))?);
    }
    let version = short_hash(&all);
    let mut code = String::from("/// Our own files of the page.\nstatic OWN: &[Asset] = &[\n");
    for (file, kind) in OWN {
        let path = web.join(file);
        writeln!(
            code,
            "    Asset {{ name: {file:?}, kind: LinkKind::{kind}, version: {version:?}, embedded: Some(include_bytes!({path:?})), cdn: None }},"
        )?;
    }
    code.push_str("];\n");
    fs::write(out.join("assets.rs"), code)?;
    Ok(())
}

/// Returns a hash that is long enough to distinguish two versions of an asset.
fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .take(6)
        .fold(String::new(), |hash, byte| hash + &format!("{byte:02x}"))
}
