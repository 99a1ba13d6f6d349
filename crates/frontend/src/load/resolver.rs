//! Looks the worker's name up, and shuffles its addresses.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    vec::IntoIter,
};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// A name may stand for all workers, as that of a headless Service does. The system often returns
/// their addresses in the same order, so the first worker would have all connections.
#[derive(Clone, Debug)]
pub(super) struct ShuffledResolver(GaiResolver);

impl Default for ShuffledResolver {
    fn default() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for ShuffledResolver {
    type Response = IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<IntoIter<SocketAddr>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookup = self.0.call(name);
        Box::pin(async move {
            let mut addresses: Vec<_> = lookup.await?.collect();
            // The system has put the family first that it can reach.
            let first = addresses.first().map(SocketAddr::is_ipv4);
            fastrand::shuffle(&mut addresses);
            addresses.sort_by_key(|address| Some(address.is_ipv4()) != first);
            Ok(addresses.into_iter())
        })
    }
}
