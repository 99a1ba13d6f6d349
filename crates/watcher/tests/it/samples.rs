//! What the watcher believes of the samples of Prometheus, and of their absence.

use std::time::Duration;

use fakes::testing::eventually;
use tokio::time::sleep;

use crate::support::{BURST, HOME, RunningWatcher, start_both};

#[tokio::test]
async fn is_ready_before_the_first_request_has_been_counted() {
    let (prometheus, kubernetes) = start_both();
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    watcher.counts("queries", "empty").await;
    assert_eq!(watcher.get("/_healthz").await, (200, "ok".to_owned()));
}

#[tokio::test]
async fn no_requests_are_believed_when_a_new_caller_explains_them() {
    let up_series = "--up-series=up{app=\"frontend\"}";
    for (argument, is_replaced, expected) in [
        (up_series, true, HOME),
        (up_series, false, BURST),
        ("--up-series=", true, BURST),
        ("--up-series=up{app=\"other\"}", true, BURST),
    ] {
        let (prometheus, kubernetes) = start_both();
        kubernetes.apply(BURST, "test");
        prometheus.set_rate(200.0);
        // The check at the start needs two scrapes.
        sleep(Duration::from_secs(1)).await;
        let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[argument]);
        eventually("the rate is known", async || {
            watcher.status().await.observed.rate.is_some_and(|rate| 150.0 < rate)
        })
        .await;
        let finding = if argument.contains("other") { "UP_SERIES selects none" } else { "is fine" };
        eventually("the selectors are checked", async || {
            watcher.status().await.query_check.contains(finding)
        })
        .await;
        if is_replaced {
            prometheus.replace_caller();
        } else {
            prometheus.end_counters();
        }
        if expected == HOME {
            kubernetes.reaches(HOME).await;
        } else {
            eventually("the rate is unknown", async || {
                watcher.status().await.observed.unknown.as_deref() == Some("empty")
            })
            .await;
            sleep(Duration::from_secs(2)).await;
            assert_eq!(kubernetes.objects.weights(), BURST);
        }
    }
}

#[tokio::test]
async fn samples_that_no_longer_come_are_stale() {
    let (prometheus, kubernetes) = start_both();
    kubernetes.apply(BURST, "test");
    prometheus.set_rate(200.0);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    watcher.counts("queries", "ok").await;
    prometheus.stop_scraping();
    eventually("the rate is stale", async || {
        let status = watcher.status().await;
        status.observed.unknown.as_deref() == Some("stale") && status.reason == "RateUnknown"
    })
    .await;
    assert!(watcher.get("/_healthz").await.1.contains("no new sample for 400ms (stale)"));
    prometheus.set_rate(50.0);
    kubernetes.reaches(HOME).await;
}

#[tokio::test]
async fn a_query_is_asked_instead_of_the_series() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let arguments = [
        "--query=sum(rate(a_total[300ms]))",
        "--clusters-query=sum by (destination_cluster, response_code) (rate(a_total[300ms]))",
    ];
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &arguments);
    kubernetes.reaches(BURST).await;
    eventually("its clusters are known", async || {
        watcher.status().await.observed.rate_by_cluster.is_some_and(|[_, burst, _]| 1.0 < burst)
    })
    .await;
    prometheus.set_rate(20.0);
    kubernetes.reaches(HOME).await;
}

#[tokio::test]
async fn a_prometheus_that_is_too_slow_for_the_first_answer_is_asked_for_less() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    prometheus.slow_long_ranges();
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    eventually("it is too slow", async || 0 < watcher.count("queries", "timeout").await).await;
    kubernetes.reaches(BURST).await;
}
