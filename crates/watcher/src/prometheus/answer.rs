//! What Prometheus' HTTP API answers.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::{MAX_SKEW, Unknown};

/// How much of an error that Prometheus reports is repeated.
const MAX_ERROR: usize = 200;

/// An answer, whatever it says.
#[derive(Deserialize)]
pub(super) struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// The answer to an instant query: each series with its labels, and its value as text.
#[derive(Debug)]
pub(super) struct Vector(Vec<Series>);

/// The samples of series: seconds since 1970.
pub(super) type Samples = Vec<Vec<f64>>;

#[derive(Debug, Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// The time of evaluation, in seconds since 1970, and the value as text.
    value: (f64, String),
}

#[derive(Deserialize)]
struct RangeOfSeries {
    values: Vec<(f64, String)>,
}

impl Answer {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Unknown> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| Unknown::NotJson(error.to_string()))?;
        Self::deserialize(value).map_err(|error| Unknown::Malformed(shortened(&error.to_string())))
    }

    /// What it says of an error.
    pub(super) fn reason(self) -> String {
        shortened(if self.error.is_empty() { &self.status } else { &self.error })
    }

    /// The series of an instant query, as of about now, a time since 1970.
    pub(super) fn vector(self, now: Duration) -> Result<Vector, Unknown> {
        let series: Vec<Series> = self.result("vector")?;
        let is_far = |at: f64| (now.as_secs_f64() - at).abs() > MAX_SKEW.as_secs_f64();
        if series.iter().any(|it| !it.value.0.is_finite() || is_far(it.value.0)) {
            return Err(Unknown::WrongClock);
        }
        Ok(Vector(series))
    }

    /// When each series has its samples.
    pub(super) fn samples(self) -> Result<Samples, Unknown> {
        let series: Vec<RangeOfSeries> = self.result("matrix")?;
        let times = |it: RangeOfSeries| it.values.into_iter().map(|(at, _)| at).collect();
        Ok(series.into_iter().map(times).collect())
    }

    fn result<T: serde::de::DeserializeOwned>(self, expected: &str) -> Result<Vec<T>, Unknown> {
        if self.status != "success" {
            return Err(Unknown::StatusError(self.reason()));
        }
        if let Some(warning) = self.warnings.first() {
            return Err(Unknown::Partial(shortened(warning)));
        }
        let data = self.data.ok_or_else(|| Unknown::Malformed("it holds no data".to_owned()))?;
        if data.result_type != expected {
            let is = shortened(&data.result_type);
            return Err(Unknown::Malformed(format!("it is a {is}, not a {expected}")));
        }
        Vec::deserialize(data.result).map_err(|error| Unknown::Malformed(error.to_string()))
    }
}

impl Vector {
    /// The value of the one series that there must be.
    pub(super) fn rate(&self) -> Result<f64, Unknown> {
        rate(&self.one()?.value.1)
    }

    /// When that was evaluated, in seconds since 1970.
    pub(super) fn at(&self) -> Result<f64, Unknown> {
        Ok(self.one()?.value.0)
    }

    /// All series: labels, and the value as text.
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

/// A value that is finite and not negative.
pub(super) fn rate(value: &str) -> Result<f64, Unknown> {
    match value.parse::<f64>() {
        Ok(rate) if rate.is_infinite() => Err(Unknown::Infinite),
        Ok(rate) if rate < 0.0 => Err(Unknown::Negative),
        Ok(rate) if !rate.is_nan() => Ok(rate),
        _ => Err(Unknown::NotANumber),
    }
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
    fn no_answer_is_not_zero() {
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
    fn what_is_repeated_of_an_error_is_short() {
        let long = "x".repeat(1000);
        let body = format!(r#"{{"status":"error","error":"{long}"}}"#);
        let answer = Answer::parse(body.as_bytes()).ok().unwrap();
        assert_eq!(answer.vector(NOW).unwrap_err().to_string().len(), 29 + MAX_ERROR);
    }

    #[test]
    fn samples_are_times() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{},"values":[[1,"2"],[6.5,"3"]]}]}}"#;
        assert_eq!(Answer::parse(body.as_bytes()).unwrap().samples().unwrap(), [[1.0, 6.5]]);
    }
}
