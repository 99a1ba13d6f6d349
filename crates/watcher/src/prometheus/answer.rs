//! Parses the answers of Prometheus' HTTP API.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::{MAX_SKEW, Unknown};

/// The longest part of an error of Prometheus that a message repeats, in characters.
const MAX_ERROR: usize = 200;

/// An answer to any query.
#[derive(Deserialize)]
pub(super) struct Answer {
    status: String,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    /// As `VictoriaMetrics` says that a part of its storage did not answer.
    #[serde(rename = "isPartial")]
    is_partial: Option<bool>,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// The answer to an instant query: a value for each series.
#[derive(Debug)]
pub(super) struct Vector(Vec<Series>);

/// A series with its samples.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SampledSeries {
    /// Its labels.
    #[serde(default)]
    pub(super) metric: BTreeMap<String, String>,
    /// Seconds since 1970, and the value as text.
    pub(super) values: Vec<(f64, String)>,
}

#[derive(Debug, Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// The time of evaluation, in seconds since 1970, and the value as text.
    value: (f64, String),
}

impl Answer {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Unknown> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| Unknown::NotJson(error.to_string()))?;
        Self::deserialize(value).map_err(|error| Unknown::Malformed(shortened(&error.to_string())))
    }

    /// The error that it reports.
    pub(super) fn reason(self) -> String {
        let error = self.error.filter(|error| !error.is_empty());
        shortened(&error.unwrap_or(self.status))
    }

    /// Returns the series of an instant query. `now` is the time since 1970.
    pub(super) fn vector(self, now: Duration) -> Result<Vector, Unknown> {
        let series: Vec<Series> = self.result("vector")?;
        let is_far = |at: f64| (now.as_secs_f64() - at).abs() > MAX_SKEW.as_secs_f64();
        if series.iter().any(|series| !series.value.0.is_finite() || is_far(series.value.0)) {
            return Err(Unknown::WrongClock);
        }
        Ok(Vector(series))
    }

    /// Returns each series with its samples.
    pub(super) fn samples(self) -> Result<Vec<SampledSeries>, Unknown> {
        self.result("matrix")
    }

    fn result<T: serde::de::DeserializeOwned>(self, expected: &str) -> Result<Vec<T>, Unknown> {
        if self.status != "success" {
            return Err(Unknown::StatusError(self.reason()));
        }
        // Some servers put notes about the query among the warnings.
        let mut warnings = self.warnings.iter().flatten();
        if let Some(warning) = warnings.find(|warning| !warning.starts_with("PromQL info")) {
            return Err(Unknown::Partial(shortened(warning)));
        }
        if self.is_partial == Some(true) {
            return Err(Unknown::Partial("it says isPartial".to_owned()));
        }
        let data = self.data.ok_or_else(|| Unknown::Malformed("it has no data".to_owned()))?;
        if data.result_type != expected {
            let actual = shortened(&data.result_type);
            return Err(Unknown::Malformed(format!("it is a {actual}, not a {expected}")));
        }
        Vec::deserialize(data.result).map_err(|error| Unknown::Malformed(error.to_string()))
    }
}

impl Vector {
    /// Returns the value of the only series.
    pub(super) fn rate(&self) -> Result<f64, Unknown> {
        rate(&self.one()?.value.1)
    }

    /// Returns the time of its evaluation, in seconds since 1970.
    pub(super) fn evaluated_at(&self) -> Result<f64, Unknown> {
        Ok(self.one()?.value.0)
    }

    /// Returns the labels of each series, and its value as text.
    pub(super) fn series(&self) -> impl Iterator<Item = (&BTreeMap<String, String>, &str)> {
        self.0.iter().map(|series| (&series.metric, series.value.1.as_str()))
    }

    fn one(&self) -> Result<&Series, Unknown> {
        match self.0.as_slice() {
            [] => Err(Unknown::Empty),
            [series] => Ok(series),
            many => Err(Unknown::ManySeries(many.len())),
        }
    }
}

/// Parses a rate, which is finite and not negative.
pub(super) fn rate(value: &str) -> Result<f64, Unknown> {
    match value.parse::<f64>() {
        Ok(rate) if rate.is_infinite() => Err(Unknown::Infinite),
        Ok(rate) if rate < 0.0 => Err(Unknown::Negative),
        Ok(rate) if !rate.is_nan() => Ok(rate),
        _ => Err(Unknown::NotANumber),
    }
}

/// The first line of a text that says something, shortened.
pub(super) fn first_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    shortened(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default())
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_ERROR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_544_404_907);

    #[track_caller]
    fn check(body: &str, expected: Result<f64, &str>) {
        let actual = Answer::parse(body.as_bytes())
            .and_then(|answer| answer.vector(NOW))
            .and_then(|vector| vector.rate());
        match (actual, expected) {
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
    fn a_missing_answer_is_not_zero() {
        check("", Err("not_json"));
        check("<html>", Err("not_json"));
        check("{}", Err("malformed"));
        check("[]", Err("malformed"));
        let error = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        check(error, Err("status_error"));
        check(r#"{"status":"success"}"#, Err("malformed"));
        let scalar =
            r#"{"status":"success","data":{"resultType":"scalar","result":[1544404907,"1"]}}"#;
        check(scalar, Err("malformed"));
        check(&vector(r#"{"value":[1544404907]}"#), Err("malformed"));
        check(&vector(""), Err("empty"));
        let one = r#"{"value":[1544404907,"1"]}"#;
        check(&vector(&format!("{one},{one}")), Err("many_series"));
        let partial =
            vector(one).replace("{\"status", "{\"warnings\":[\"a store is away\"],\"status");
        check(&partial, Err("partial"));
        let partial = vector(one).replace("{\"status", "{\"isPartial\":true,\"status");
        check(&partial, Err("partial"));
        for harmless in [
            r#"{"isPartial":false,"status"#,
            r#"{"warnings":null,"isPartial":null,"error":null,"status"#,
            r#"{"warnings":["PromQL info: metric might not be a counter"],"status"#,
            r#"{"infos":["PromQL info: metric might not be a counter"],"status"#,
        ] {
            check(&vector(one).replace("{\"status", harmless), Ok(1.0));
        }
        for (value, kind) in [
            ("NaN", "nan"),
            ("", "nan"),
            ("twenty", "nan"),
            ("+Inf", "infinite"),
            ("-Inf", "infinite"),
            ("-1", "negative"),
        ] {
            check(&vector(&format!(r#"{{"value":[1544404907,"{value}"]}}"#)), Err(kind));
        }
        for at in ["1544404846", "1544404968", "0", "-1e300"] {
            check(&vector(&format!(r#"{{"value":[{at},"1"]}}"#)), Err("wrong_clock"));
        }
    }

    #[test]
    fn a_long_error_is_shortened() {
        let long = "x".repeat(1000);
        let body = format!(r#"{{"status":"error","error":"{long}"}}"#);
        let answer = Answer::parse(body.as_bytes()).ok().unwrap();
        assert_eq!(answer.vector(NOW).unwrap_err().to_string().len(), 29 + MAX_ERROR);
    }

    #[test]
    fn samples_keep_their_labels_and_times() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"a":"b"},"values":[[1,"2"],[6.5,"3"]]}]}}"#;
        let series = Answer::parse(body.as_bytes()).unwrap().samples().unwrap();
        assert_eq!(series[0].metric["a"], "b");
        assert_eq!(series[0].values, [(1.0, "2".to_owned()), (6.5, "3".to_owned())]);
    }
}
