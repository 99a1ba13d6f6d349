//! The text that the demo prints when it has started.

use std::path::Path;

use contract::Cluster;

use crate::{Addresses, Config};

/// Returns where each part listens, and what to do next.
pub(crate) fn guide(addresses: &Addresses, config: &Config, kubeconfig: &Path) -> String {
    let Addresses { page, redis, mesh, prometheus, kubernetes, watcher, workers } = addresses;
    let port = page.port();
    let kubeconfig = kubeconfig.display();
    let redis_is = if config.redis_url.is_some() { "Redis (yours)" } else { "Redis (fake)" };
    let fakes = format!(
        "  {redis_is:<23}{redis}\n\
         \x20 mesh                   http://{mesh}, metrics at /stats/prometheus\n\
         \x20 Prometheus API         http://{prometheus}\n\
         \x20 Kubernetes API         http://{kubernetes}, KUBECONFIG={kubeconfig}\n"
    );
    if config.fakes_only {
        return format!(
            "\nThe fakes are running:\n\n{fakes}\n\
             Start the services, each in a terminal of its own:\n\n\
             \x20 PORT={primary} REDIS_URL={redis} cargo run -p worker\n\
             \x20 PORT={burst} REDIS_URL={redis} PREFIX={prefix} cargo run -p worker\n\
             \x20 PORT={port} REDIS_URL={redis} PROCESSOR_URL=http://{mesh} cargo run -p frontend\n\
             \x20 PROMETHEUS_URL=http://{prometheus} KUBECONFIG={kubeconfig} cargo run -p watcher\n\n",
            primary = workers.primary,
            burst = workers.burst,
            prefix = Cluster::Burst.prefix(),
        );
    }
    let story = story(&config.watch.policy);
    format!(
        "\nString Hashr is running: open http://localhost:{port}\n\n{story}\
         \x20 3. Ctrl-C ends it.\n\n{fakes}\
         \x20 worker of primary      http://127.0.0.1:{primary}\n\
         \x20 worker of burst        http://127.0.0.1:{burst}\n\
         \x20 watcher                http://{watcher}: /status shows its decisions and their reasons\n\n",
        primary = workers.primary,
        burst = workers.burst,
    )
}

/// What to enter, and what happens then.
fn story(policy: &policy::Settings) -> String {
    let prefix = Cluster::Burst.prefix();
    match policy.policy {
        policy::PolicyKind::Threshold => {
            let policy::ThresholdSettings { burst_above, home_below, .. } = &policy.threshold;
            let (high, low) = ((burst_above * 4.0 / 3.0).ceil(), (home_below / 2.0).floor());
            format!(
                "\x20 1. Enter {high}. Above {burst_above}/s the watcher sends the traffic to the burst cluster:\n\
                 \x20    a few seconds later every hash starts with {prefix}\n\
                 \x20 2. Enter {low}. Below {home_below}/s the traffic comes home, about fifteen seconds later.\n"
            )
        }
        policy::PolicyKind::Spill => {
            let (capacity, spill_probe) = (policy.capacity.capacity, policy.spill.spill_probe);
            let (high, low) = ((capacity * 8.0 / 3.0).ceil(), (capacity / 3.0).floor());
            format!(
                "\x20 1. Enter {high}. Primary keeps {capacity}/s, and the rest spills into the burst cluster:\n\
                 \x20    about fifteen seconds later most hashes start with {prefix}\n\
                 \x20 2. Enter {low}. About forty seconds later all traffic but {spill_probe} % is home again.\n"
            )
        }
    }
}
