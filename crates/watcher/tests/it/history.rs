//! `watcher replay --from`: the history in Prometheus.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Query, http::StatusCode, response::IntoResponse, routing::get};
use chassis::{Shutdown, server::serve, settings::from_arguments};
use fakes::testing::{BackgroundTask, listener, spawn};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The start of all loads here, in seconds since 1970.
const START: u64 = 1_790_000_000;

/// The distance of the samples, in seconds.
const SCRAPE: u64 = 5;

/// What the server does.
#[derive(Clone, Default)]
struct Script {
    /// Parts of the load: seconds, and requests in each.
    load: Vec<(u64, u64)>,
    /// When nothing was scraped, in seconds since the start.
    outage: Option<(u64, u64)>,
    /// When the counters began again at zero.
    reset: Option<u64>,
    /// The number of samples above which a query is refused.
    most_samples: Option<usize>,
    /// The number of the first request that fails, of how many, and their status.
    failing: Option<(usize, usize, u16)>,
}

/// A Prometheus that has the history of one counter.
struct Server {
    url: String,
    /// From when on each request asked, in seconds since the start of the load.
    asked: Arc<Mutex<Vec<i64>>>,
    _task: BackgroundTask,
}

impl Script {
    fn of(load: &[(u64, u64)]) -> Self {
        Self { load: load.to_vec(), ..Self::default() }
    }

    fn seconds(&self) -> u64 {
        self.load.iter().map(|(seconds, _)| seconds).sum()
    }

    /// The requests until so many seconds after the start.
    fn count(&self, until: u64) -> u64 {
        let mut left = until;
        let parts = self.load.iter().map(|(seconds, rate)| {
            let taken = left.min(*seconds);
            left -= taken;
            taken * rate
        });
        parts.sum()
    }

    /// The counter at each scrape in a time after `from` up to `to`.
    fn samples(&self, from: i64, to: i64) -> Vec<Value> {
        let last = to.min(self.seconds() as i64);
        let scrapes = (from.max(-1) + 1..=last).filter(|at| at % SCRAPE as i64 == 0);
        let is_scraped = |at: &u64| self.outage.is_none_or(|(from, to)| *at <= from || to < *at);
        let scrapes = scrapes.map(|at| at as u64).filter(is_scraped);
        let sample = |at: u64| {
            let before =
                self.reset.filter(|reset| reset <= &at).map_or(0, |reset| self.count(reset));
            json!([START + at, (self.count(at) - before).to_string()])
        };
        scrapes.map(sample).collect()
    }

    fn answer(
        &self,
        number: usize,
        parameters: &HashMap<String, String>,
    ) -> (StatusCode, String, i64) {
        let number_of = |name: &str| parameters[name].parse::<f64>().unwrap() as i64 - START as i64;
        let (from, samples) = match parameters["query"].rsplit_once('[') {
            Some((_, range)) if parameters.contains_key("time") => {
                let to = number_of("time");
                let from = to - range.trim_end_matches("s]").parse::<i64>().unwrap();
                (from, self.samples(from, to))
            }
            _ => {
                let (from, to) = (number_of("start"), number_of("end"));
                let step = parameters["step"].parse::<f64>().unwrap() as i64;
                let rate = |at: i64| self.count(at as u64) - self.count((at - step).max(0) as u64);
                let times = (from..=to).step_by(step as usize).filter(|at| 0 < *at);
                let value =
                    |at| json!([at + START as i64, (rate(at) as f64 / step as f64).to_string()]);
                (from, times.map(value).collect())
            }
        };
        if let Some((first, count, status)) = self.failing
            && (first..first + count).contains(&number)
        {
            return (StatusCode::from_u16(status).unwrap(), String::new(), from);
        }
        if self.most_samples.is_some_and(|most| most < samples.len()) {
            let text = r#"{"status":"error","error":"too many samples"}"#;
            return (StatusCode::UNPROCESSABLE_ENTITY, text.to_owned(), from);
        }
        let series = json!({"metric": {"instance": "a"}, "values": samples});
        let series = if samples.is_empty() { vec![] } else { vec![series] };
        let answer =
            json!({"status": "success", "data": {"resultType": "matrix", "result": series}});
        (StatusCode::OK, answer.to_string(), from)
    }
}

impl Server {
    fn start(script: Script) -> Self {
        let asked = Arc::<Mutex<Vec<i64>>>::default();
        let recorded = asked.clone();
        let handler = get(async move |Query(parameters): Query<HashMap<String, String>>| {
            let mut recorded = recorded.lock().unwrap();
            let (status, answer, from) = script.answer(recorded.len(), &parameters);
            recorded.push(from);
            (status, answer).into_response()
        });
        let router = Router::new()
            .route("/api/v1/query", handler.clone())
            .route("/api/v1/query_range", handler);
        let (listener, address) = listener();
        let task = spawn(serve(listener, router, Shutdown::new()));
        Self { url: format!("http://{address}"), asked, _task: task }
    }

    /// Replays the load of so many seconds.
    async fn replay(&self, seconds: u64, arguments: &[&str]) -> Result<Value, String> {
        let times = [START, START + seconds]
            .map(|at| jiff::Timestamp::from_second(at as i64).unwrap().to_string());
        let [from, until] = &times;
        let all = [
            format!("--prometheus-url={}", self.url),
            format!("--from={from}"),
            format!("--until={until}"),
            "--output=json".to_owned(),
        ];
        let all: Vec<_> = all.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        replay(&all).await
    }
}

async fn replay(arguments: &[&str]) -> Result<Value, String> {
    let config = from_arguments(arguments)?;
    let replaying = tokio::task::spawn_blocking(move || {
        let mut output = Vec::new();
        watcher::replay(&config, &mut output).map_err(|error| format!("{error:#}"))?;
        Ok(serde_json::from_slice(&output).unwrap())
    });
    replaying.await.unwrap()
}

const RISE: [(u64, u64); 3] = [(300, 5), (600, 20), (600, 5)];

fn of(result: &Value, field: &str) -> f64 {
    result["rules"][0][field].as_f64().unwrap()
}

#[tokio::test]
async fn the_history_is_played_as_the_load_was() {
    let server = Server::start(Script::of(&RISE));
    let result = server.replay(1500, &[]).await.unwrap();
    assert_eq!((of(&result, "seconds"), of(&result, "unknown_seconds")), (1500.0, 0.0));
    assert_eq!(of(&result, "requests"), 16_500.0);
    assert!(result["note"].as_str().unwrap().starts_with("Prometheus has a sample every 5.0 s."));
    let runs = result["rules"].as_array().unwrap();
    let both = runs.iter().filter(|run| run["rule"] == "policy as set");
    let both: Vec<_> = both.map(|run| (run["signal"].clone(), run["arrivals"].clone())).collect();
    assert_eq!(both, ["even", "random"].map(|kind| ("prometheus@5s".into(), kind.into())));
    let switches = server.replay(1500, &["--decisions", "--arrivals=even"]).await.unwrap();
    let times: Vec<_> = switches
        .as_array()
        .unwrap()
        .iter()
        .map(|switch| switch["time"].as_f64().unwrap() - START as f64)
        .collect();
    assert!(
        matches!(times[..], [rise, fall] if (305.0..316.0).contains(&rise) && (905.0..920.0).contains(&fall)),
        "{times:?}"
    );
}

#[tokio::test]
async fn it_is_read_in_pieces_that_the_server_allows() {
    let seconds = 86_400 / 4;
    let script = Script {
        most_samples: Some(200),
        failing: Some((6, 1, 503)),
        ..Script::of(&[(seconds, 2)])
    };
    let server = Server::start(script);
    let result = server.replay(seconds, &["--arrivals=even", "--decisions"]).await.unwrap();
    assert_eq!(result, json!([]));
    let asked = server.asked.lock().unwrap().clone();
    assert!((22..60).contains(&asked.len()), "{} requests", asked.len());
    let mut pieces = asked;
    pieces.dedup();
    assert!(pieces.is_sorted(), "{pieces:?}");
}

#[tokio::test]
async fn what_prometheus_does_not_know_is_a_gap() {
    let load = [(1000, 5), (1000, 8)];
    let outage = Script { outage: Some((600, 900)), ..Script::of(&load) };
    let result = Server::start(outage).replay(2500, &["--arrivals=even"]).await.unwrap();
    let unknown = of(&result, "unknown_seconds");
    assert!((290.0..=315.0).contains(&unknown), "{unknown} s are unknown");
    let reset = Script { reset: Some(700), ..Script::of(&load) };
    let result = Server::start(reset).replay(2000, &["--arrivals=even"]).await.unwrap();
    assert_eq!(of(&result, "unknown_seconds"), 5.0, "what was counted just before is lost");
    assert!((12_940.0..=13_000.0).contains(&of(&result, "requests")), "{result}");
    let earlier = Server::start(Script::of(&load));
    let all = ["--from=2026-09-20T00:00:00Z", "--until=2026-09-20T16:00:00Z", "--output=json"];
    let url = format!("--prometheus-url={}", earlier.url);
    let error = replay(&[&all[..], &[url.as_str()]].concat()).await.unwrap_err();
    assert!(error.starts_with("--from: the query matches no series"), "{error}");
}

#[tokio::test]
async fn an_interrupted_reading_goes_on() {
    let seconds = 86_400 / 4;
    let load =
        Script { most_samples: Some(720), ..Script::of(&[(seconds / 2, 3), (seconds / 2, 18)]) };
    let whole = Server::start(load.clone()).replay(seconds, &[]).await.unwrap();
    assert_eq!((of(&whole, "requests"), of(&whole, "unknown_seconds")), (226_800.0, 0.0));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("load.csv");
    let save = format!("--save={}", path.display());
    let broken = Server::start(Script { failing: Some((4, usize::MAX / 2, 401)), ..load.clone() });
    let error = broken.replay(seconds, &[&save]).await.unwrap_err();
    assert!(error.starts_with("--from: Prometheus answered 401"), "{error}");
    // As a crash in the middle of a line leaves it.
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.truncate(text.len() - 4);
    std::fs::write(&path, text).unwrap();
    let server = Server::start(load.clone());
    let result = server.replay(seconds, &[&save]).await.unwrap();
    assert_eq!(result["rules"], whole["rules"]);
    let first = server.asked.lock().unwrap()[0];
    assert!(3600 < first, "it begins again at {first}");
    let trace = format!("--trace={}", path.display());
    let arguments = [&trace, "--output=json", "--arrivals=even,random"];
    assert_eq!(replay(&arguments).await.unwrap()["rules"], whole["rules"], "the file is a trace");
    let error = server.replay(seconds, &[&save, "--series=other_total"]).await.unwrap_err();
    assert!(error.contains("it holds another load: time,requests per second of istio_"), "{error}");
    // Somebody else's file stays as it is, with and without a line's end.
    for text in ["{}", "a\nb\n"] {
        std::fs::write(&path, text).unwrap();
        let error = server.replay(seconds, &[&save]).await.unwrap_err();
        assert!(
            error.starts_with("--save: ") && error.contains("it holds another load: "),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[tokio::test]
async fn a_query_instead_of_counters_is_read_as_it_averages() {
    let server = Server::start(Script::of(&RISE));
    let result = server.replay(1500, &["--query=sum(rate(a[15s]))"]).await.unwrap();
    assert_eq!(of(&result, "requests"), 16_500.0);
    assert_eq!(result["rules"][0]["signal"], "prometheus@15s");
}

#[tokio::test]
async fn a_wrong_time_is_refused() {
    for (arguments, expected) in [
        (&["--from=7 apples"][..], "accepted: how long ago, such as 7d, or a time such as"),
        (&["--trace=a", "--until=1h"][..], "--until, --save: they are accepted only with --from"),
        (&["--trace=a", "--from=1h"][..], "--trace"),
        (&[][..], "--trace"),
        (&["--from=1h", "--until=2h"][..], "accepted: from before until, and both in the past"),
        (&["--from=1h", "--until=2999-01-01T00:00:00Z"][..], "both in the past"),
        (&["--from=1h", "--prometheus-url=http://127.0.0.1:1"][..], "--from: Prometheus cannot be"),
    ] {
        let error = replay(arguments).await.unwrap_err();
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}
