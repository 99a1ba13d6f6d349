//! What the demo says when it has started.

use std::path::Path;

use crate::{Addresses, Config};

/// Where each part listens, and what to do next.
pub(crate) fn guide(addresses: &Addresses, config: &Config, kubeconfig: &Path) -> String {
    let Addresses { page, redis, mesh, prometheus, kubernetes, watcher, workers } = addresses;
    let port = page.port();
    let kubeconfig = kubeconfig.display();
    let redis_is = if config.redis_url.is_some() { "Redis (yours)" } else { "Redis (embedded)" };
    let far_side = format!(
        "  {redis_is:<23}{redis}\n\
         \x20 mesh                   http://{mesh}, metrics at /stats/prometheus\n\
         \x20 Prometheus API         http://{prometheus}\n\
         \x20 Kubernetes API         http://{kubernetes}, KUBECONFIG={kubeconfig}\n"
    );
    if config.far_side_only {
        return format!(
            "\nThe far side of every wire is there:\n\n{far_side}\n\
             Start the services, each in a terminal of its own:\n\n\
             \x20 PORT={primary} REDIS_URL={redis} cargo run -p worker\n\
             \x20 PORT={burst} REDIS_URL={redis} PREFIX=bursty- cargo run -p worker\n\
             \x20 PORT={port} REDIS_URL={redis} PROCESSOR_URL=http://{mesh} cargo run -p frontend\n\
             \x20 PROMETHEUS_URL=http://{prometheus} KUBECONFIG={kubeconfig} QUERY='{query}' cargo run -p watcher\n\n",
            primary = workers.primary,
            burst = workers.burst,
            query = config.policy.query.query,
        );
    }
    let story = story(&config.policy);
    format!(
        "\nString Hashr is running: open http://localhost:{port}\n\n{story}\
         \x20 3. Ctrl-C ends it.\n\n{far_side}\
         \x20 worker of primary      http://127.0.0.1:{primary}\n\
         \x20 worker of burst        http://127.0.0.1:{burst}\n\
         \x20 watcher                http://{watcher}: /status says what it has decided, and why\n\n",
        primary = workers.primary,
        burst = workers.burst,
    )
}

/// What to enter, and what comes of it.
fn story(policy: &watcher::PolicySettings) -> String {
    match policy.policy {
        watcher::PolicyKind::Threshold => {
            let watcher::ThresholdSettings { burst_above, home_below, .. } = &policy.threshold;
            let (high, low) = ((burst_above * 4.0 / 3.0).ceil(), (home_below / 2.0).floor());
            format!(
                "\x20 1. Enter {high}. Above {burst_above}/s the watcher moves the load to the burst cluster:\n\
                 \x20    some ten seconds later every hash starts with bursty-\n\
                 \x20 2. Enter {low}. Below {home_below}/s, some twenty seconds later, it is home again.\n"
            )
        }
        watcher::PolicyKind::Spill => {
            let watcher::SpillSettings { capacity, spill_probe, .. } = &policy.spill;
            let (high, low) = ((capacity * 8.0 / 3.0).ceil(), (capacity / 3.0).floor());
            format!(
                "\x20 1. Enter {high}. Primary keeps {capacity}/s, and what is above that spills into the burst cluster:\n\
                 \x20    some fifteen seconds later most of the hashes start with bursty-\n\
                 \x20 2. Enter {low}. Some forty seconds later all but {spill_probe} % is home again.\n"
            )
        }
    }
}
