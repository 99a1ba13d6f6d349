//! The two formats of metrics, and which one a reader asks for.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use mime::Mime;
use prometheus_client::{encoding::text::encode, registry::Registry};

/// `OpenMetrics`: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The classic text: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a program shows of itself to Prometheus.
pub trait Exposition: Send + Sync + 'static {
    /// All metrics, as `OpenMetrics`.
    ///
    /// # Errors
    /// When a metric cannot be written.
    fn openmetrics(&self) -> Result<String, fmt::Error>;
}

impl Exposition for Registry {
    fn openmetrics(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, self)?;
        Ok(text)
    }
}

/// Writes several registries as one text. What they have of one name stands together, as the format demands.
///
/// # Errors
/// When a metric cannot be written.
pub fn merged<'a>(registries: impl Iterator<Item = &'a Registry>) -> Result<String, fmt::Error> {
    let mut names = Vec::<String>::new();
    let mut families = BTreeMap::<String, String>::new();
    for registry in registries {
        let mut name = String::new();
        let mut is_new = false;
        for line in registry.openmetrics()?.lines().filter(|line| *line != "# EOF") {
            if let Some(described) = line.strip_prefix("# ") {
                let of = described.split(' ').nth(1).unwrap_or_default();
                if of != name {
                    of.clone_into(&mut name);
                    is_new = !families.contains_key(of);
                    if is_new {
                        names.push(name.clone());
                    }
                }
                if !is_new {
                    continue;
                }
            }
            let _ = writeln!(families.entry(name.clone()).or_default(), "{line}");
        }
    }
    let all: String =
        names.iter().filter_map(|name| families.get(name).map(String::as_str)).collect();
    Ok(all + "# EOF\n")
}

/// Answers with the metrics in the format that the reader prefers; without a preference, as classic
/// text.
pub(super) fn answer(request: &HeaderMap, metrics: &impl Exposition) -> Response {
    let Ok(text) = metrics.openmetrics() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let (format, text) =
        if prefers_openmetrics(request) { (OPENMETRICS, text) } else { (CLASSIC, classic(&text)) };
    ([(header::CONTENT_TYPE, format), (header::VARY, "accept")], text).into_response()
}

fn prefers_openmetrics(request: &HeaderMap) -> bool {
    let values = request.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range> = values.flat_map(|value| value.split(',')).filter_map(parse).collect();
    let openmetrics = quality(&ranges, is_openmetrics);
    0.0 < openmetrics && quality(&ranges, is_classic) <= openmetrics
}

/// A media range and its quality.
type Range = (Mime, f64);

fn parse(text: &str) -> Option<Range> {
    let range: Mime = text.trim().parse().ok()?;
    let quality = range.get_param("q").map(|q| q.as_str().parse());
    Some((range, quality.unwrap_or(Ok(1.0)).ok()?))
}

/// The quality of the most specific range that fits, by how specific it is.
fn quality(ranges: &[Range], fits: fn(&Mime) -> Option<u8>) -> f64 {
    let fitting = ranges.iter().filter_map(|(range, quality)| Some((fits(range)?, *quality)));
    fitting
        .max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
        .map_or(0.0, |(_, quality)| quality)
}

fn is_openmetrics(range: &Mime) -> Option<u8> {
    let version = range.get_param("version");
    let is_known = version.is_none_or(|version| version == "1.0.0");
    (range.essence_str() == "application/openmetrics-text" && is_known).then_some(2)
}

fn is_classic(range: &Mime) -> Option<u8> {
    let version = range.get_param("version");
    match (range.type_(), range.subtype()) {
        (mime::TEXT, mime::PLAIN) if version.is_none_or(|version| version == "0.0.4") => Some(2),
        (mime::TEXT, mime::STAR) => Some(1),
        (mime::STAR, mime::STAR) => Some(0),
        _ => None,
    }
}

/// Translates `OpenMetrics` into classic text. The samples are the same; what describes a metric
/// bears the name of its samples, and knows fewer types.
fn classic(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + 256);
    let mut help = "";
    for line in openmetrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            let _ = writeln!(text, "{line}");
            continue;
        };
        if let Some(described) = comment.strip_prefix("HELP ") {
            help = described;
        } else if let Some((name, kind)) =
            comment.strip_prefix("TYPE ").and_then(|typed| typed.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, words)) = help.split_once(' ').filter(|(of, _)| *of == name) {
                let _ = writeln!(text, "# HELP {name}{suffix} {words}");
            }
            let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge, info::Info};

    use super::*;

    #[track_caller]
    fn check(accept: &str, expected: bool) {
        let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
        assert_eq!(prefers_openmetrics(&headers), expected, "{accept}");
    }

    #[test]
    fn a_reader_gets_the_format_that_it_prefers() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        check(prometheus_2, true);
        check("application/openmetrics-text", true);
        check("application/openmetrics-text; version=1.0.0; charset=utf-8, text/plain", true);
        check("application/openmetrics-text;q=0.4, text/plain;q=0.6", false);
        check("application/openmetrics-text;q=0, */*", false);
        check("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", false);
        check("text/plain;version=0.0.4", false);
        check("text/plain, */*", false);
        check("*/*", false);
        check("", false);
        check("nonsense;;,=,q", false);
        assert!(!prefers_openmetrics(&HeaderMap::new()));
    }

    #[test]
    fn metrics_of_one_name_stand_together() {
        let registry = |policy: &'static str, count: u64| {
            let labels = [("policy".into(), policy.into())];
            let mut registry = Registry::with_prefix_and_labels("a", labels.into_iter());
            let writes: Counter = Counter::default();
            writes.inc_by(count);
            registry.register("writes", "Writes", writes);
            registry.register("level", "A level", Gauge::<i64>::default());
            registry
        };
        let all = [registry("b", 1), registry("c", 2)];
        assert_eq!(
            merged(all.iter()).unwrap(),
            "# HELP a_writes Writes.\n# TYPE a_writes counter\n\
            a_writes_total{policy=\"b\"} 1\na_writes_total{policy=\"c\"} 2\n\
            # HELP a_level A level.\n# TYPE a_level gauge\n\
            a_level{policy=\"b\"} 0\na_level{policy=\"c\"} 0\n# EOF\n"
        );
    }

    #[test]
    fn classic_text_names_and_types_each_metric_as_its_samples_do() {
        let mut registry = Registry::with_prefix("program");
        let requests: Counter = Counter::default();
        requests.inc();
        registry.register("requests", "Requests", requests);
        registry.register("build", "The version", Info::new(vec![("version", "1")]));
        let level: Gauge = Gauge::default();
        registry.register("level", "A level", level);
        let answer = |accept: &str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            answer(&headers, &registry).headers()[header::CONTENT_TYPE].clone()
        };
        assert_eq!(answer("text/plain"), CLASSIC);
        assert_eq!(answer("application/openmetrics-text"), OPENMETRICS);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let expected = "# HELP program_requests_total Requests.\n# TYPE program_requests_total counter\n\
            program_requests_total 1\n# HELP program_build_info The version.\n\
            # TYPE program_build_info gauge\nprogram_build_info{version=\"1\"} 1\n\
            # HELP program_level A level.\n# TYPE program_level gauge\nprogram_level 0\n";
        assert_eq!(classic(&text), expected);
    }
}
