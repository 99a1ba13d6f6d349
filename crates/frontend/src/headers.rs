//! What browsers are told about the page beside the page: to trust nobody else with it.

use axum::{
    Router,
    http::{HeaderName, HeaderValue},
};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::page;

/// Adds them to every answer.
///
/// # Errors
/// When the policy is no header, which its test rules out.
pub(crate) fn protected(router: Router) -> anyhow::Result<Router> {
    let policy = content_security_policy();
    let headers = [
        ("content-security-policy", policy.as_str()),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        // For browsers that do not know frame-ancestors.
        ("x-frame-options", "DENY"),
    ];
    headers.into_iter().try_fold(router, |router, (name, value)| {
        let name = HeaderName::from_static(name);
        let value: HeaderValue = value.parse()?;
        Ok(router.layer(SetResponseHeaderLayer::overriding(name, value)))
    })
}

/// Only what comes from here, and from the CDN if the build could not embed the libraries. Bootstrap has its pictures in `data:`.
fn content_security_policy() -> String {
    let libraries = if page::needs_cdn() { format!(" {}", page::CDN) } else { String::new() };
    format!(
        "default-src 'none'; script-src 'self'{libraries}; style-src 'self'{libraries}; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
