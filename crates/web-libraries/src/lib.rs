//! The libraries of our pages. The build takes them from npm and embeds them.
//!
//! If there is no npm, or npm cannot reach its registry, nothing is embedded. A page then links the same
//! versions on a public CDN, with the same integrity hashes.

/// Where a page finds the libraries that the build could not embed.
pub const CDN: &str = "https://cdn.jsdelivr.net";

/// A file of a library.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// Its name.
    pub name: &'static str,
    /// The version of its package.
    pub version: &'static str,
    /// Its bytes; `None` if the build could not fetch them.
    pub embedded: Option<&'static [u8]>,
    /// Its URL on the [`CDN`].
    pub url: &'static str,
    /// The hash that a browser checks on the CDN's copy.
    pub integrity: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/libraries.rs"));
