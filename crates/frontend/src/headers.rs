//! Response headers that tell browsers to trust only this server with the page.

use axum::{
    Router,
    http::{HeaderName, HeaderValue},
};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::page;

/// Adds the headers to every response.
///
/// # Errors
/// When the policy is not a valid header. A test rules that out.
pub(crate) fn protect(router: Router) -> anyhow::Result<Router> {
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

/// Returns the policy: the page loads only from this server, and from the CDN if the build could
/// not embed the libraries. Bootstrap has its icons in `data:`.
fn content_security_policy() -> String {
    let libraries =
        if page::needs_cdn() { format!(" {}", web_libraries::CDN) } else { String::new() };
    format!(
        "default-src 'none'; script-src 'self'{libraries}; style-src 'self'{libraries}; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
