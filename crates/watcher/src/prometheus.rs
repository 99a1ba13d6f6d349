//! Asks Prometheus for the request rate, and takes nothing for an answer that is none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chassis::HttpUrl;
use reqwest::{Client, Response, Url, redirect};
use serde::Deserialize;

/// How long Prometheus may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The largest answer that is read, in bytes. One series is a few hundred.
const MAX_ANSWER: usize = 1024 * 1024;

/// How far the time of an answer may be from ours: more, and it is an old answer or a wrong clock.
const MAX_AGE: Duration = Duration::from_secs(60);

/// How much of an error that Prometheus reports is repeated.
const MAX_ERROR: usize = 200;

/// Asks one query.
pub(crate) struct Prometheus {
    client: Client,
    url: Url,
}

/// Why the rate is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("prometheus cannot be reached: {0}")]
    Unreachable(String),
    #[error("prometheus did not answer within {TIMEOUT:?}")]
    Timeout,
    #[error("prometheus answered {status}{reason}")]
    Http { status: u16, reason: String },
    #[error("prometheus answered with more than {MAX_ANSWER} bytes")]
    TooLarge,
    #[error("prometheus did not answer the query: {0}")]
    Malformed(String),
    #[error("the query matches no series: no traffic yet, or nothing scrapes it")]
    Empty,
    #[error("the query matches {0} series instead of one; put sum() around it")]
    ManySeries(usize),
    #[error("the query's value is not a number")]
    NotANumber,
    #[error("the query's value is infinite")]
    Infinite,
    #[error("the query's value is negative: it is no rate")]
    Negative,
    #[error("the answer is more than {MAX_AGE:?} away from this machine's clock")]
    Stale,
}

impl Unknown {
    /// Its kind, as metrics name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Http { .. } => "http",
            Self::TooLarge => "too_large",
            Self::Malformed(_) => "malformed",
            Self::Empty => "empty",
            Self::ManySeries(_) => "many_series",
            Self::NotANumber => "not_a_number",
            Self::Infinite => "infinite",
            Self::Negative => "negative",
            Self::Stale => "stale",
        }
    }
}

impl Prometheus {
    /// Prepares to ask `query` of the server at `address`.
    pub(crate) fn new(address: &HttpUrl, query: &str) -> anyhow::Result<Self> {
        // Fails only where it has been done before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build()?;
        let mut url = address.join("api/v1/query");
        url.query_pairs_mut().append_pair("query", query);
        Ok(Self { client, url })
    }

    /// The request rate now, in requests per second.
    pub(crate) async fn rate(&self) -> Result<f64, Unknown> {
        let response = self.client.get(self.url.clone()).send().await?;
        let status = response.status();
        let body = read(response).await?;
        if !status.is_success() {
            let reason = serde_json::from_slice::<Answer>(&body).map(|it| it.reason());
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            return Err(Unknown::Http { status: status.as_u16(), reason });
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        parse(&body, since_epoch)
    }
}

impl From<reqwest::Error> for Unknown {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        // The innermost error says what happened; those around it, that an error happened. The URL
        // is left out: it may hold a password.
        let error = error.without_url();
        let mut innermost: &dyn std::error::Error = &error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        Self::Unreachable(innermost.to_string())
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Unknown> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if MAX_ANSWER < body.len() + chunk.len() {
            return Err(Unknown::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    /// The time of evaluation, in seconds since 1970, and the value as text.
    value: (f64, String),
}

impl Answer {
    fn reason(self) -> String {
        let reason = if self.error.is_empty() { self.status } else { self.error };
        reason.chars().take(MAX_ERROR).collect()
    }
}

fn parse(body: &[u8], now: Duration) -> Result<f64, Unknown> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|error| Unknown::Malformed(error.to_string()))?;
    if answer.status != "success" {
        return Err(Unknown::Malformed(answer.reason()));
    }
    let data = answer.data.ok_or_else(|| Unknown::Malformed("it holds no data".to_owned()))?;
    if data.result_type != "vector" {
        return Err(Unknown::Malformed(format!(
            "it is a {}, not an instant vector",
            data.result_type
        )));
    }
    let (at, value) = match data.result.as_slice() {
        [] => return Err(Unknown::Empty),
        [series] => &series.value,
        many => return Err(Unknown::ManySeries(many.len())),
    };
    let age = (now.as_secs_f64() - at).abs();
    if MAX_AGE.as_secs_f64() < age {
        return Err(Unknown::Stale);
    }
    match value.parse::<f64>() {
        Ok(rate) if rate.is_infinite() => Err(Unknown::Infinite),
        Ok(rate) if rate < 0.0 => Err(Unknown::Negative),
        Ok(rate) if !rate.is_nan() => Ok(rate),
        _ => Err(Unknown::NotANumber),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_544_404_907);

    #[track_caller]
    fn check(body: &str, expected: Result<f64, &str>) {
        match (parse(body.as_bytes(), NOW), expected) {
            (Ok(rate), Ok(expected)) => assert!((rate - expected).abs() < 1e-9),
            (Err(unknown), Err(kind)) => assert_eq!(unknown.kind(), kind, "{unknown}"),
            (actual, expected) => panic!("{actual:?} instead of {expected:?}"),
        }
    }

    fn vector(series: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
    }

    #[test]
    fn reads_the_codelabs_answer() {
        let series = r#"{"metric":{},"value":[1544404907.503,"18.892886390062788"]}"#;
        check(&vector(series), Ok(18.892_886_390_062_788));
    }

    #[test]
    fn no_answer_is_not_zero() {
        check("", Err("malformed"));
        check("<html>", Err("malformed"));
        check("{}", Err("malformed"));
        check(
            r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
            Err("malformed"),
        );
        check(r#"{"status":"success"}"#, Err("malformed"));
        let scalar =
            r#"{"status":"success","data":{"resultType":"scalar","result":[1544404907,"1"]}}"#;
        check(scalar, Err("malformed"));
        check(&vector(""), Err("empty"));
        let one = r#"{"value":[1544404907,"1"]}"#;
        check(&vector(&format!("{one},{one}")), Err("many_series"));
        for (value, kind) in [
            ("NaN", "not_a_number"),
            ("", "not_a_number"),
            ("twenty", "not_a_number"),
            ("+Inf", "infinite"),
            ("-Inf", "infinite"),
            ("-1", "negative"),
        ] {
            check(&vector(&format!(r#"{{"value":[1544404907,"{value}"]}}"#)), Err(kind));
        }
        check(&vector(r#"{"value":[1544404846,"1"]}"#), Err("stale"));
        check(&vector(r#"{"value":[1544404968,"1"]}"#), Err("stale"));
        check(&vector(r#"{"value":[0,"1"]}"#), Err("stale"));
    }
}
