//! The page, and the assets that it links.

use askama::Template;
use axum::{
    extract::{Path, Query},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{Html, IntoResponse, Response},
};

/// Something that the page links.
pub(crate) struct Asset {
    name: &'static str,
    /// Changes whenever the asset does, so that browsers may keep what they have.
    hash: &'static str,
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

/// A stylesheet or a script.
struct Link {
    url: String,
    integrity: Option<&'static str>,
    is_script: bool,
}

/// Renders the page once; it is the same for everybody.
///
/// # Errors
/// When the template cannot be rendered, which its tests rule out.
pub(crate) fn render(shown: Shown) -> askama::Result<Html<String>> {
    let links = ASSETS.iter().rev().map(link).collect();
    Page { shown, links }.render().map(Html)
}

fn link(asset: &Asset) -> Link {
    let is_script = asset.name.ends_with(".js");
    match (&asset.embedded, &asset.cdn) {
        (None, Some(Cdn { url, integrity })) => {
            Link { url: (*url).to_owned(), integrity: Some(integrity), is_script }
        }
        _ => Link {
            url: format!("/assets/{}?v={}", asset.name, asset.hash),
            integrity: None,
            is_script,
        },
    }
}

/// The version of an asset that is asked for.
#[derive(serde::Deserialize)]
pub(crate) struct Version {
    v: Option<String>,
}

/// Serves an embedded asset.
pub(crate) async fn asset(Path(name): Path<String>, Query(version): Query<Version>) -> Response {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let Some((asset, bytes)) = asset.and_then(|asset| Some((asset, asset.embedded?))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let content_type = if name.ends_with(".css") {
        "text/css; charset=utf-8"
    } else {
        "text/javascript; charset=utf-8"
    };
    let is_current = version.v.as_deref() == Some(asset.hash);
    let cache = if is_current { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, cache)], bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_keeps_the_originals_words_and_links_every_asset() {
        let Html(page) = render(Shown { max_rate: 1000, asks_for_token: false }).unwrap();
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
        let Html(page) = render(Shown { max_rate: 1000, asks_for_token: true }).unwrap();
        assert!(page.contains("Control token"));
    }
}
