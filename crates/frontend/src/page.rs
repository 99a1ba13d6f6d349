//! The page, and the assets that it links.

use askama::Template;
use axum::{
    extract::Path,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{Html, IntoResponse, Response},
};

/// Where the libraries are had from if the build could not embed them.
pub(crate) const CDN: &str = "https://cdn.jsdelivr.net";

/// Something that the page links.
struct Asset {
    name: &'static str,
    kind: LinkKind,
    /// Changes whenever the asset does, so that browsers may keep what they have.
    version: &'static str,
    /// Its bytes; `None` if the build could not fetch it.
    embedded: Option<&'static [u8]>,
    /// Where else it can be had; `None` for ours, which are always embedded.
    cdn: Option<Cdn>,
}

/// The same file, on a public CDN.
struct Cdn {
    url: &'static str,
    integrity: &'static str,
}

/// How the page links an asset.
#[derive(Clone, Copy)]
enum LinkKind {
    /// A stylesheet.
    Style,
    /// A script that runs before anything is shown.
    FirstScript,
    /// A script that runs once the page is there.
    Script,
    /// A module that another one takes.
    Module,
    /// The module that takes the others.
    Entry,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    shown: Shown,
    links: Vec<Link>,
}

/// What the page says of the settings.
pub(crate) struct Shown {
    /// The highest rate that may be asked for, in requests per second.
    pub(crate) max_rate: u32,
    /// Whether a token is needed to ask for a rate.
    pub(crate) asks_for_token: bool,
}

/// An asset, as the page links it.
struct Link {
    kind: LinkKind,
    url: String,
    integrity: Option<&'static str>,
}

/// A figure, and what the page calls it.
struct Row {
    name: &'static str,
    words: &'static str,
}

impl Shown {
    /// Rates to choose from: below, between and above the thresholds, and one that fills the screen.
    fn presets(&self) -> impl Iterator<Item = u32> {
        [5, 12, 20, 100].into_iter().filter(|rate| *rate <= self.max_rate)
    }
}

const fn row(name: &'static str, words: &'static str) -> Row {
    Row { name, words }
}

const TIMES: [Row; 5] = [
    row("corrected", "answer"),
    row("primary", "of primary"),
    row("burst", "of burst"),
    row("service", "since it was sent"),
    row("trip", "to Redis and back"),
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
    row("matched", "arrived"),
    row("lost", "lost"),
    row("doubled", "doubled"),
    row("foreign", "foreign"),
    row("unshown", "not shown"),
    row("dropped", "dropped"),
];

const FAILURES: [Row; 6] = [
    row("connect", "no connection"),
    row("timeout", "no answer"),
    row("reset", "cut off"),
    row("unavailable", "503"),
    row("server_error", "other 5xx"),
    row("refused", "other status"),
];

/// Renders the page once; it is the same for everybody.
///
/// # Errors
/// When the template cannot be rendered, which its tests rule out.
pub(crate) fn render(shown: Shown) -> askama::Result<Html<String>> {
    let links = ASSETS.iter().map(link).collect();
    Page { shown, links }.render().map(Html)
}

fn link(asset: &Asset) -> Link {
    let Asset { name, kind, version, embedded, cdn } = asset;
    match (embedded, cdn) {
        (None, Some(Cdn { url, integrity })) => {
            Link { kind: *kind, url: (*url).to_owned(), integrity: Some(integrity) }
        }
        _ => Link { kind: *kind, url: format!("/assets/{version}/{name}"), integrity: None },
    }
}

/// Whether anything is had from the [`CDN`].
pub(crate) fn needs_cdn() -> bool {
    ASSETS.iter().any(|asset| asset.embedded.is_none())
}

/// Serves an embedded asset.
pub(crate) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    // Modules of two versions do not fit together: while a new frontend replaces an old one, a page of either may ask
    // the other, and is better told.
    let asset = ASSETS.iter().find(|asset| asset.name == name && asset.version == version);
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

    fn rendered(max_rate: u32, asks_for_token: bool) -> String {
        render(Shown { max_rate, asks_for_token }).unwrap().0
    }

    #[test]
    fn the_page_keeps_the_originals_words_and_links_every_asset() {
        let page = rendered(1000, false);
        for words in
            ["<title>String Hashr</title>", "What’s the frequency?", "The current hash values"]
        {
            assert!(page.contains(words), "{words} is missing");
        }
        assert!(page.contains("0.001 to 1000 requests per second"));
        for asset in ASSETS {
            assert!(page.contains(asset.name), "{} is not linked", asset.name);
        }
        assert!(!page.contains("Control token"));
        assert!(rendered(1000, true).contains("Control token"));
    }

    #[test]
    fn no_preset_is_above_the_highest_rate() {
        assert!(rendered(20, false).contains("data-freq=\"20\""));
        assert!(!rendered(20, false).contains("data-freq=\"100\""));
    }

    #[test]
    fn nothing_of_the_page_is_written_into_it_that_the_policy_forbids() {
        let page = rendered(1000, true);
        for forbidden in [" style=", " onclick=", "<style", "javascript:"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(!page.contains("<script>"));
    }

    #[test]
    fn a_module_names_only_modules_that_are_there() {
        for asset in ASSETS.iter().filter(|asset| asset.cdn.is_none()) {
            let text = str::from_utf8(asset.embedded.unwrap()).unwrap();
            for named in text.lines().filter_map(|line| line.split_once(" from \"./")) {
                let named = named.1.trim_end_matches("\";");
                assert!(ASSETS.iter().any(|it| it.name == named), "{} takes {named}", asset.name);
            }
        }
    }
}
