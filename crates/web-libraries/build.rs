//! Fetches the libraries of our pages from npm and writes `libraries.rs`, which embeds them.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha384};

/// A file of a package, and the hash that browsers check on the CDN's copy.
///
/// `openssl dgst -sha384 -binary FILE | base64` computes the hash.
struct Library {
    /// The name of the constant.
    constant: &'static str,
    package: &'static str,
    file: &'static str,
    integrity: &'static str,
}

const LIBRARIES: [Library; 4] = [
    Library {
        constant: "BOOTSTRAP_CSS",
        package: "bootstrap",
        file: "dist/css/bootstrap.min.css",
        integrity: "sha384-yEPZ7jP9S0QKiUQ0m3jjsO4ProIW7wvR9gXkI7JOGa2XVsw53Yke2bsdkBbjmmiX",
    },
    Library {
        constant: "UPLOT_CSS",
        package: "uplot",
        file: "dist/uPlot.min.css",
        integrity: "sha384-IfV0B7MIOYuO95kO9G5ySKPz/85zqFNOAs8iy4tkK5zd9izhJAB8b7lHrwYqqmYE",
    },
    Library {
        constant: "UPLOT_JS",
        package: "uplot",
        file: "dist/uPlot.iife.min.js",
        integrity: "sha384-Gx3t0zdBAuQOuvvmaLZj7HKEiSgWTAs+VdtNY7wt19QDPTDQjFIwAuXDj0zeN00c",
    },
    Library {
        constant: "SOCKET_IO_JS",
        package: "socket.io-client",
        file: "dist/socket.io.min.js",
        integrity: "sha384-fBrXvbDtHoeKWJ/hcA6M+YGueiDW+h45I7V6F2kD1S8bOkrF9rZYPLVkCR6BLR/1",
    },
];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes its settings to a build script in the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    for watched in ["build.rs", "package.json", "package-lock.json", ".npmrc"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let fetched = fetch(&here, &out.join("npm"));
    if let Err(reason) = &fetched {
        // This file never exists, so the next build tries again.
        println!("cargo::rerun-if-changed=fetched");
        println!("cargo::warning=the pages will need the internet: {reason}");
    }
    let mut code = String::new();
    let versions = fs::read_to_string(here.join("package.json"))?;
    for Library { constant, package, file, integrity } in LIBRARIES {
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
        let embedded = match embedded {
            Some(path) => format!("Some(include_bytes!({path:?}))"),
            None => "None".to_owned(),
        };
        writeln!(
            code,
            "/// `{name}` of the package {package}.\n\
             pub const {constant}: Library = Library {{ name: {name:?}, version: {version:?}, embedded: {embedded}, url: {url:?}, integrity: {integrity:?} }};"
        )?;
    }
    fs::write(out.join("libraries.rs"), code)?;
    Ok(())
}

/// Installs the packages of the lock file into a folder of the build; returns its `node_modules`.
fn fetch(here: &Path, into: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(into).map_err(|error| error.to_string())?;
    for file in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(here.join(file), into.join(file)).map_err(|error| format!("{file}: {error}"))?;
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

/// Returns the version of a package in `package.json`, which has each dependency on a line of its
/// own.
fn version(package_json: &str, package: &str) -> Result<String, String> {
    let key = format!("\"{package}\":");
    let line = package_json.lines().map(str::trim).find_map(|line| line.strip_prefix(key.as_str()));
    let version = line.map(|line| line.trim_matches([' ', ',', '"']).to_owned());
    version.ok_or_else(|| format!("package.json does not contain {package}"))
}
