//! Looks up who the callers are: a name that resolves to all of them.

use std::{
    collections::BTreeSet, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration,
};

use tokio::{task::JoinHandle, time::timeout};

/// Resolves the name of the callers.
type Resolve =
    dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync;

/// How long a tick waits for an answer. A later answer counts at a later tick.
const WAIT: Duration = Duration::from_millis(200);

/// The name of all callers, which is looked up again and again.
pub(super) struct Lookup {
    resolve: Arc<Resolve>,
    running: Option<JoinHandle<io::Result<Vec<SocketAddr>>>>,
}

impl Lookup {
    /// Asks the system for the addresses of `name:port`.
    pub(super) fn of_system(authority: String) -> Self {
        Self::new(Arc::new(move || {
            let authority = authority.clone();
            Box::pin(async move { Ok(tokio::net::lookup_host(authority).await?.collect()) })
        }))
    }

    pub(super) fn new(resolve: Arc<Resolve>) -> Self {
        Self { resolve, running: None }
    }

    /// Returns the present addresses, or why there are none; `None` if no answer has come yet.
    pub(super) async fn next(&mut self) -> Option<Result<BTreeSet<SocketAddr>, String>> {
        let mut running = self.running.take().unwrap_or_else(|| tokio::spawn((self.resolve)()));
        let Ok(ended) = timeout(WAIT, &mut running).await else {
            self.running = Some(running);
            return None;
        };
        Some(match ended {
            Ok(Ok(addresses)) if addresses.is_empty() => Err("it has no address".to_owned()),
            Ok(Ok(addresses)) => Ok(of_one_family(addresses)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(panic.to_string()),
        })
    }
}

/// A name in two families lists each caller twice. IPv4 is preferred.
fn of_one_family(addresses: Vec<SocketAddr>) -> BTreeSet<SocketAddr> {
    let has_ipv4 = addresses.iter().any(SocketAddr::is_ipv4);
    addresses.into_iter().filter(|address| address.is_ipv4() == has_ipv4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_is_listed_once() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let family = |texts: &[&str]| {
            let addresses = of_one_family(parse(texts));
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(family(&["[fd00::1]:1", "10.0.0.1:1", "10.0.0.1:1"]), ["10.0.0.1:1"]);
        assert_eq!(family(&["[fd00::1]:1"]), ["[fd00::1]:1"]);
    }
}
