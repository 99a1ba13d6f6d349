//! Why the weights could not be read or written.

use std::time::Duration;

/// The longest part of a refusal that a message repeats, in characters.
const MAX_MESSAGE: usize = 200;

/// How the API server words that a JSON Patch, or a test in it, does not fit the object.
const PATCH_DOES_NOT_FIT: &str = "the server rejected our request due to an error in our request";

/// Why the weights could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the API server did not answer within {0:?}")]
    Timeout(Duration),
    #[error("the API server answered {code}: {message}{}", hint(*.code, .message))]
    Refused { code: u16, message: String, retry_after: Option<Duration> },
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    #[error("{0}")]
    Unusable(String),
}

impl Error {
    /// The kind, as metrics name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Refused { code: 401, .. } => "unauthorized",
            Self::Refused { code: 403, .. } => "forbidden",
            Self::Refused { code: 404, .. } => "not_found",
            error if error.is_conflict() => "conflict",
            Self::Refused { code: 422, .. } => "invalid",
            Self::Refused { code: 429, .. } => "too_many_requests",
            Self::Refused { code: 500.., .. } => "server_error",
            Self::Refused { .. } => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Unusable(_) => "unusable",
        }
    }

    /// Whether the object has changed since it was read. Admission may refuse with the same codes.
    pub(crate) fn is_conflict(&self) -> bool {
        match self {
            Self::Refused { code: 409, message, .. } => !is_admission(message),
            Self::Refused { code: 422, message, .. } => message.contains(PATCH_DOES_NOT_FIT),
            _ => false,
        }
    }

    /// Names the proxy on the way, if there is one.
    pub(super) fn through(self, proxy: Option<String>) -> Self {
        match (self, proxy) {
            (Self::Unreachable(why), Some(proxy)) => {
                Self::Unreachable(format!("{why} (through the proxy {proxy})"))
            }
            (error, _) => error,
        }
    }

    /// Whether new credentials may help.
    pub(crate) fn doubts_credentials(&self) -> bool {
        matches!(self, Self::Refused { code: 401, .. } | Self::Unreachable(_) | Self::Timeout(_))
    }

    /// Whether the API server may have applied the write in spite of the error.
    pub(crate) fn is_uncertain(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Unreachable(_))
            || matches!(self, Self::Refused { code: 500.., .. })
    }
}

/// Whether a webhook or a policy of the cluster refuses.
fn is_admission(message: &str) -> bool {
    message.contains("admission") || message.contains("AdmissionPolicy")
}

/// What an operator can do about a refusal.
fn hint(code: u16, message: &str) -> &'static str {
    match code {
        401 => "; the watcher's credentials are wrong or expired",
        _ if is_admission(message) => "; a policy of this cluster refuses it",
        // As the API server words what RBAC refuses.
        403 if message.contains("cannot ") => {
            "; the watcher's Role must allow get and patch of this route"
        }
        // As it words a kind or a version that it does not serve.
        404 if message.contains("the server could not find the requested resource")
            || message.contains("page not found") =>
        {
            "; it does not serve this kind: Istio brings networking.istio.io/v1 since 1.22, and Gateway API's CRDs gateway.networking.k8s.io/v1"
        }
        404 => "; apply it, or correct NAMESPACE, ROUTE_KIND and ROUTE",
        409 => "; the watcher reads it and decides again",
        422 if message.contains(PATCH_DOES_NOT_FIT) => "; the watcher reads it and decides again",
        _ => "",
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            let line = status.message.lines().next().unwrap_or_default();
            let message = line.chars().take(MAX_MESSAGE).collect();
            let retry_after =
                status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            let retry_after = (0 < retry_after).then(|| Duration::from_secs(retry_after.into()));
            return Self::Refused { code: status.code, message, retry_after };
        }
        Self::Unreachable(crate::http_clients::root_cause(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_follows_from_what_was_said() {
        let rbac = "virtualservices.networking.istio.io \"w\" is forbidden: User \"u\" cannot patch resource";
        let webhook = "admission webhook \"gate\" denied the request: frozen";
        let policy = "ValidatingAdmissionPolicy 'freeze' with binding 'all' denied request: closed";
        for (code, message, says) in [
            (403, rbac, "Role must allow"),
            (403, webhook, "a policy of this cluster"),
            (400, webhook, "a policy of this cluster"),
            (422, policy, "a policy of this cluster"),
            (403, "the account is suspended", ""),
            (404, "virtualservices.networking.istio.io \"w\" not found", "; apply it"),
            (404, "the server could not find the requested resource", "does not serve"),
            (404, "404 page not found", "does not serve"),
            (401, "Unauthorized", "credentials"),
            (422, PATCH_DOES_NOT_FIT, "decides again"),
            (422, "VirtualService \"w\" is invalid: spec.http: required", ""),
        ] {
            let hint = hint(code, message);
            assert!(hint.contains(says) && hint.is_empty() == says.is_empty(), "{message}: {hint}");
        }
    }

    #[test]
    fn only_a_changed_object_is_a_conflict() {
        for (code, message, kind) in [
            (409, "the object has been modified", "conflict"),
            (422, PATCH_DOES_NOT_FIT, "conflict"),
            (422, "ValidatingAdmissionPolicy 'freeze' denied request: closed", "invalid"),
            (422, "VirtualService \"w\" is invalid: spec.http: required", "invalid"),
            (409, "admission webhook \"gate\" denied the request: frozen", "refused"),
        ] {
            let error = Error::Refused { code, message: message.to_owned(), retry_after: None };
            assert_eq!(error.kind(), kind, "{message}");
        }
    }
}
