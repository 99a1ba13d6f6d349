//! Fetches the page's libraries from npm and writes `assets.rs`, which embeds them.
//!
//! If there is no npm, or npm cannot reach its registry, `assets.rs` holds no library. The page
//! then links the same versions on a public CDN, with the same integrity hashes.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256, Sha384};

/// A library of the page: a file of a package, and the hash that browsers check on the CDN's copy.
///
/// `openssl dgst -sha384 -binary FILE | base64` computes the hash.
struct Library {
    package: &'static str,
    file: &'static str,
    integrity: &'static str,
}

const LIBRARIES: [Library; 4] = [
    Library {
        package: "bootstrap",
        file: "dist/css/bootstrap.min.css",
        integrity: "sha384-yEPZ7jP9S0QKiUQ0m3jjsO4ProIW7wvR9gXkI7JOGa2XVsw53Yke2bsdkBbjmmiX",
    },
    Library {
        package: "uplot",
        file: "dist/uPlot.min.css",
        integrity: "sha384-IfV0B7MIOYuO95kO9G5ySKPz/85zqFNOAs8iy4tkK5zd9izhJAB8b7lHrwYqqmYE",
    },
    Library {
        package: "uplot",
        file: "dist/uPlot.iife.min.js",
        integrity: "sha384-Gx3t0zdBAuQOuvvmaLZj7HKEiSgWTAs+VdtNY7wt19QDPTDQjFIwAuXDj0zeN00c",
    },
    Library {
        package: "socket.io-client",
        file: "dist/socket.io.min.js",
        integrity: "sha384-fBrXvbDtHoeKWJ/hcA6M+YGueiDW+h45I7V6F2kD1S8bOkrF9rZYPLVkCR6BLR/1",
    },
];

/// Our own files, which are always embedded, and how the page links each.
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
    for watched in ["build.rs", "web/package.json", "web/package-lock.json", "web/.npmrc"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let fetched = fetch(&web, &out.join("npm"));
    if let Err(reason) = &fetched {
        // This file never exists, so the next build tries again.
        println!("cargo::rerun-if-changed=web/fetched");
        println!("cargo::warning=the page will need the internet: {reason}");
    }

    let mut code = String::from("/// Every asset of the page.\nconst ASSETS: &[Asset] = &[\n");
    let versions = fs::read_to_string(web.join("package.json"))?;
    for Library { package, file, integrity } in LIBRARIES {
        let name = Path::new(file)
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or("a file without a name")?;
        let embedded = fetched.as_ref().ok().map(|modules| modules.join(package).join(file));
        if let Some(path) = &embedded {
            check(path, integrity)?;
        }
        let version = version(&versions, package)?;
        let url = format!("https://cdn.jsdelivr.net/npm/{package}@{version}/{file}");
        let cdn = format!("Some(Cdn {{ url: {url:?}, integrity: {integrity:?} }})");
        let kind = if name.ends_with(".css") { "Style" } else { "Script" };
        let version = short_hash(integrity.as_bytes());
        writeln!(code, "    {},", asset(name, kind, &version, embedded.as_deref(), &cdn))?;
    }
    // Our files share one version, because modules import one another without a version.
    let mut all = Vec::new();
    for (file, _) in OWN {
        println!("cargo::rerun-if-changed=web/{file}");
        all.extend(fs::read(web.join(file))?);
    }
    let version = short_hash(&all);
    for (file, kind) in OWN {
        writeln!(code, "    {},", asset(file, kind, &version, Some(&web.join(file)), "None"))?;
    }
    code.push_str("];\n");
    fs::write(out.join("assets.rs"), code)?;
    Ok(())
}

/// Returns the Rust code of an `Asset`.
fn asset(name: &str, kind: &str, version: &str, embedded: Option<&Path>, cdn: &str) -> String {
    let embedded = match embedded {
        Some(path) => format!("Some(include_bytes!({path:?}))"),
        None => "None".to_owned(),
    };
    format!(
        "Asset {{ name: {name:?}, kind: LinkKind::{kind}, version: {version:?}, embedded: {embedded}, cdn: {cdn} }}"
    )
}

/// Installs the packages of the lock file into a folder of the build; returns its `node_modules`.
fn fetch(web: &Path, into: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(into).map_err(|error| error.to_string())?;
    for file in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(web.join(file), into.join(file)).map_err(|error| format!("{file}: {error}"))?;
    }
    let npm = Command::new("npm").arg("ci").current_dir(into).output();
    let npm = npm.map_err(|error| format!("npm cannot be run: {error}"))?;
    if npm.status.success() {
        Ok(into.join("node_modules"))
    } else {
        let output = String::from_utf8_lossy(&npm.stderr);
        let reason =
            output.lines().find(|line| line.contains("error")).unwrap_or("no reason given");
        Err(format!("npm ci failed: {reason}"))
    }
}

fn check(path: &Path, integrity: &str) -> Result<(), Box<dyn Error>> {
    let hash = format!("sha384-{}", BASE64_STANDARD.encode(Sha384::digest(fs::read(path)?)));
    if hash == integrity {
        Ok(())
    } else {
        Err(format!("{} has the integrity {hash}, build.rs says {integrity}", path.display())
            .into())
    }
}

/// Returns a hash that is long enough to distinguish two versions of an asset.
fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .take(6)
        .fold(String::new(), |hash, byte| hash + &format!("{byte:02x}"))
}

/// Returns the version of a package in `package.json`, which has each dependency on a line of its
/// own.
fn version(package_json: &str, package: &str) -> Result<String, String> {
    let key = format!("\"{package}\":");
    let line = package_json.lines().map(str::trim).find_map(|line| line.strip_prefix(key.as_str()));
    let version = line.map(|line| line.trim_matches([' ', ',', '"']).to_owned());
    version.ok_or_else(|| format!("package.json does not contain {package}"))
}
