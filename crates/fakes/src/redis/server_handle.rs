//! A fake Redis as a test holds it.

use std::{net::SocketAddr, sync::PoisonError, time::Duration};

use chassis::server::listen_locally;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{Broker, RedisFault, serve};
use crate::testing::{BackgroundTask, spawn};

/// A running fake Redis. Dropping it ends it.
pub struct FakeRedis {
    /// Where it listens.
    pub address: SocketAddr,
    broker: Broker,
    task: BackgroundTask,
}

impl FakeRedis {
    /// Starts one on a free port.
    #[must_use]
    pub fn start() -> Self {
        Self::start_on(0)
    }

    /// Starts one on a port.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn start_on(port: u16) -> Self {
        let listener = listen_locally("test", port).unwrap();
        let address = listener.local_addr().unwrap();
        let broker = Broker::default();
        Self { address, task: spawn(serve(listener, broker.clone())), broker }
    }

    /// Begins to have a fault, or ends that.
    pub fn set_fault(&self, fault: RedisFault) {
        *self.broker.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Forgets all subscriptions, and keeps the connections.
    pub fn forget_subscriptions(&self) {
        self.broker.lock().clear();
    }

    /// Ends it, and waits until its connections are closed.
    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Subscribes to a channel.
    ///
    /// # Panics
    /// When the server does not answer as Redis does.
    pub async fn subscribe(&self, channel: &str) -> Subscription {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let command = format!("*2\r\n$9\r\nSUBSCRIBE\r\n${}\r\n{channel}\r\n", channel.len());
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut subscription = Subscription(stream, String::new());
        subscription.read_until("subscribe\r\n").await;
        subscription.read_until(":1\r\n").await;
        subscription
    }

    /// Publishes a message.
    ///
    /// # Panics
    /// When the server does not answer as Redis does.
    pub async fn publish(&self, channel: &str, message: &str) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let lengths = (channel.len(), message.len());
        let command = format!(
            "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n{message}\r\n",
            lengths.0, lengths.1
        );
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut reply = [0; 1];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b":");
    }
}

/// A subscription to one channel.
pub struct Subscription(TcpStream, String);

impl Subscription {
    async fn read_until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.1.find(end) {
                let rest = self.1.split_off(at + end.len());
                return std::mem::replace(&mut self.1, rest);
            }
            let mut bytes = [0; 4096];
            let read = timeout(Duration::from_secs(10), self.0.read(&mut bytes)).await;
            let read = read.expect("nothing was published").unwrap();
            assert_ne!(read, 0, "the subscription has ended");
            self.1.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }

    /// Waits for the next message.
    ///
    /// # Panics
    /// When none is published within ten seconds.
    pub async fn message(&mut self) -> String {
        self.read_until("$7\r\nmessage\r\n").await;
        self.read_until("\r\n").await;
        self.read_until("\r\n").await;
        let length: usize =
            self.read_until("\r\n").await.trim_start_matches('$').trim().parse().unwrap();
        let message = self.read_until("\r\n").await;
        assert_eq!(message.len(), length + 2);
        message.trim_end().to_owned()
    }

    /// Checks that nothing was published since the last message.
    ///
    /// # Panics
    /// When something was.
    pub async fn check_silent(&mut self, redis: &FakeRedis, channel: &str) {
        redis.publish(channel, "the end").await;
        assert_eq!(self.message().await, "the end");
    }
}
