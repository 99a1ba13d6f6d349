//! The page, and the assets that the page links.

use askama::Template;
use axum::{
    extract::Path,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{Html, IntoResponse, Response},
};

use web_libraries::{BOOTSTRAP_CSS, Library, SOCKET_IO_JS, UPLOT_CSS, UPLOT_JS};

use crate::{snapshot::REPORTS_PER_SECOND, stream::MAX_SHOWN_PER_SECOND};

/// A file that the page links.
struct Asset {
    name: &'static str,
    kind: LinkKind,
    /// Changes whenever the asset changes, so browsers may cache the asset.
    version: &'static str,
    /// The bytes; `None` if the build could not fetch them.
    embedded: Option<&'static [u8]>,
    /// The same file on a CDN; `None` for our own files, which are always embedded.
    cdn: Option<Cdn>,
}

/// A file on a public CDN.
struct Cdn {
    url: &'static str,
    integrity: &'static str,
}

/// How the page links an asset.
#[derive(Clone, Copy)]
enum LinkKind {
    /// A stylesheet.
    Style,
    /// A script that runs before the browser paints anything.
    FirstScript,
    /// A script that runs after the page is parsed.
    Script,
    /// A module that another module imports.
    Module,
    /// The module that imports the others.
    Entry,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

static LIBRARIES: [Asset; 4] = [
    of_library(BOOTSTRAP_CSS, LinkKind::Style),
    of_library(UPLOT_CSS, LinkKind::Style),
    of_library(UPLOT_JS, LinkKind::Script),
    of_library(SOCKET_IO_JS, LinkKind::Script),
];

const fn of_library(library: Library, kind: LinkKind) -> Asset {
    let Library { name, version, embedded, url, integrity } = library;
    Asset { name, kind, version, embedded, cdn: Some(Cdn { url, integrity }) }
}

/// Every asset, in the order in which the page links them.
fn assets() -> impl Iterator<Item = &'static Asset> {
    LIBRARIES.iter().chain(OWN)
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    settings: PageSettings,
    links: Vec<Link>,
}

/// The settings that the page needs.
pub(crate) struct PageSettings {
    /// The highest rate that a visitor may request, in requests per second.
    pub(crate) max_rate: u32,
    /// Whether a visitor needs a token to change the rate.
    pub(crate) is_token_needed: bool,
}

/// The link to an asset.
struct Link {
    kind: LinkKind,
    url: String,
    integrity: Option<&'static str>,
}

/// A number in the statistics, and its label on the page.
struct Row {
    name: &'static str,
    label: &'static str,
}

impl PageSettings {
    /// The rates to choose from: below, between and above the thresholds, and one that fills the
    /// screen.
    fn presets(&self) -> impl Iterator<Item = u32> {
        [5, 12, 20, 100].into_iter().filter(|rate| *rate <= self.max_rate)
    }
}

const fn row(name: &'static str, label: &'static str) -> Row {
    Row { name, label }
}

const TIMES: [Row; 5] = [
    row("corrected", "answer"),
    row("primary", "of primary"),
    row("burst", "of burst"),
    row("service", "since sending"),
    row("trip", "end to end"),
];

const LEDGER: [Row; 7] = [
    row("planned", "planned"),
    row("sent", "sent"),
    row("missed", "missed"),
    row("shed", "shed"),
    row("answered", "answered"),
    row("failed", "failed"),
    row("in_flight", "in flight"),
];

const RESULTS: [Row; 6] = [
    row("matched", "matched"),
    row("lost", "lost"),
    row("doubled", "duplicate"),
    row("foreign", "foreign"),
    row("unshown", "not shown"),
    row("dropped", "dropped"),
];

const FAILURES: [Row; 6] = [
    row("connect", "no connection"),
    row("timeout", "timeout"),
    row("reset", "connection lost"),
    row("unavailable", "503"),
    row("server_error", "other 5xx"),
    row("refused", "other status"),
];

/// Renders the page, which is the same for everybody.
///
/// # Errors
/// When the template cannot be rendered. A test rules that out.
pub(crate) fn render(settings: PageSettings) -> askama::Result<Html<String>> {
    let links = assets().map(link).collect();
    Page { settings, links }.render().map(Html)
}

fn link(asset: &Asset) -> Link {
    let Asset { name, kind, version, embedded, cdn } = asset;
    match (embedded, cdn) {
        (None, Some(Cdn { url, integrity })) => {
            Link { kind: *kind, url: (*url).to_owned(), integrity: Some(integrity) }
        }
        _ => Link { kind: *kind, url: format!("assets/{version}/{name}"), integrity: None },
    }
}

/// Whether the page links anything on the CDN.
pub(crate) fn needs_cdn() -> bool {
    assets().any(|asset| asset.embedded.is_none())
}

/// Serves an embedded asset.
pub(crate) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    // Modules of two versions do not fit together. While a new frontend replaces an old one, a page
    // of one may request a module from the other; a 404 makes that page show that it is incomplete.
    let asset = assets().find(|asset| asset.name == name && asset.version == version);
    let Some(bytes) = asset.and_then(|asset| asset.embedded) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let content_type = if name.ends_with(".css") {
        "text/css; charset=utf-8"
    } else {
        "text/javascript; charset=utf-8"
    };
    let cache = "public, max-age=31536000, immutable";
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, cache)], bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(max_rate: u32, is_token_needed: bool) -> String {
        render(PageSettings { max_rate, is_token_needed }).unwrap().0
    }

    #[test]
    fn the_page_has_the_titles_of_the_original_and_links_every_asset() {
        let page = rendered(1000, false);
        for title in
            ["<title>String Hashr</title>", "What’s the frequency?", "The current hash values"]
        {
            assert!(page.contains(title), "{title} is missing");
        }
        assert!(page.contains("0.01 to 1000 requests per second"));
        for asset in assets() {
            assert!(page.contains(asset.name), "{} is not linked", asset.name);
        }
        assert!(!page.contains("Control token"));
        assert!(rendered(1000, true).contains("Control token"));
    }

    #[test]
    fn the_page_offers_no_rate_above_the_highest() {
        assert!(rendered(20, false).contains("data-freq=\"20\""));
        assert!(!rendered(20, false).contains("data-freq=\"100\""));
    }

    #[test]
    fn the_page_contains_nothing_that_its_policy_forbids() {
        let page = rendered(1000, true);
        for forbidden in [" style=", " onclick=", "<style", "javascript:"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(!page.contains("<script>"));
    }

    #[test]
    fn every_imported_module_exists() {
        for asset in OWN {
            let text = str::from_utf8(asset.embedded.unwrap()).unwrap();
            for (_, module) in text.lines().filter_map(|line| line.split_once(" from \"./")) {
                let module = module.trim_end_matches("\";");
                let exists = OWN.iter().any(|asset| asset.name == module);
                assert!(exists, "{} imports {module}", asset.name);
            }
        }
    }
}
