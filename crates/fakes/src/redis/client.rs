//! A client of the fake Redis.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Notify, mpsc},
    time::timeout,
};

use super::{
    Broker, Listener, RedisFault, push,
    resp::{Reply, take_command},
};

/// The largest number of channels that one client may subscribe to.
const MAX_CHANNELS: usize = 64;

/// The largest number of messages that wait for a slow subscriber. The next message disconnects the
/// subscriber, as Redis does.
const MAX_WAITING: usize = 8192;

/// How long a write to a client may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connected client. Dropping it ends its subscriptions.
pub(super) struct Client {
    id: u64,
    broker: Broker,
    listener: Listener,
    channels: BTreeSet<Bytes>,
    version: u8,
    is_in_transaction: bool,
    out: BytesMut,
}

impl Drop for Client {
    fn drop(&mut self) {
        for channel in &self.channels {
            self.broker.unsubscribe(channel, self.id);
        }
    }
}

impl Client {
    pub(super) async fn serve(broker: Broker, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let id = broker.next_client.fetch_add(1, Ordering::Relaxed);
        let (messages, mut inbox) = mpsc::channel(MAX_WAITING);
        let too_slow = Arc::new(Notify::new());
        let listener = Listener { messages, too_slow: Arc::clone(&too_slow) };
        let channels = BTreeSet::new();
        let mut client = Self {
            id,
            broker,
            listener,
            channels,
            version: 2,
            is_in_transaction: false,
            out: BytesMut::new(),
        };
        let mut received = BytesMut::new();
        loop {
            tokio::select! {
                read = stream.read_buf(&mut received) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {
                        let stays_open = client.answer_all(&mut received);
                        if client.send(&mut stream).await.is_err() || !stays_open {
                            return;
                        }
                    }
                },
                Some(message) = inbox.recv() => {
                    message.write(client.version, &mut client.out);
                    if client.send(&mut stream).await.is_err() {
                        return;
                    }
                }
                () = too_slow.notified() => {
                    tracing::warn!("the fake Redis disconnects a subscriber that reads too slowly");
                    return;
                }
            }
        }
    }

    async fn send(&mut self, stream: &mut TcpStream) -> std::io::Result<()> {
        timeout(WRITE_TIMEOUT, stream.write_all_buf(&mut self.out)).await?
    }

    /// Answers the complete commands; returns whether the connection stays open.
    fn answer_all(&mut self, received: &mut BytesMut) -> bool {
        loop {
            match take_command(received) {
                Ok(Some(command)) => {
                    if !self.answer(&command) {
                        return false;
                    }
                }
                Ok(None) => return true,
                Err(error) => {
                    self.reply(&Reply::Error(format!("ERR Protocol error: {error}")));
                    return false;
                }
            }
        }
    }

    fn reply(&mut self, reply: &Reply) {
        reply.write(self.version, &mut self.out);
    }

    /// Answers one command; returns whether the connection stays open.
    fn answer(&mut self, command: &[Bytes]) -> bool {
        let Some((name, arguments)) = command.split_first() else { return true };
        let name = name.to_ascii_uppercase();
        let reply = match (name.as_slice(), arguments) {
            (b"PUBLISH", [channel, message]) => self.publish(channel, message),
            (b"MULTI" | b"DISCARD", []) => {
                self.is_in_transaction = name == b"MULTI";
                Reply::Status("OK")
            }
            (b"ROLE", []) => self.role(),
            (b"SUBSCRIBE", [_, ..]) => return self.subscribe(arguments),
            (b"UNSUBSCRIBE", channels) => return self.unsubscribe(channels),
            (b"PING", []) if self.version == 2 && !self.channels.is_empty() => {
                Reply::Array(vec![Reply::bulk("pong"), Reply::bulk("")])
            }
            (b"PING", []) => Reply::Status("PONG"),
            (b"PING" | b"ECHO", [message]) => Reply::Bulk(message.clone()),
            (b"HELLO", arguments) => self.hello(arguments.first()),
            (b"CLIENT" | b"SELECT" | b"QUIT", _) => Reply::Status("OK"),
            // redis-cli asks for the list of commands, and can do without.
            (b"COMMAND", _) => Reply::Array(Vec::new()),
            _ => {
                let name: String = name.escape_ascii().to_string().chars().take(64).collect();
                Reply::Error(format!("ERR unknown command or wrong number of arguments: '{name}'"))
            }
        };
        self.reply(&reply);
        name != b"QUIT"
    }

    fn publish(&self, channel: &Bytes, message: &Bytes) -> Reply {
        match self.broker.fault() {
            RedisFault::NoPermission => {
                let error = "NOPERM User default has no permissions to run the 'publish' command";
                Reply::Error(error.to_owned())
            }
            _ if self.is_in_transaction => Reply::Status("QUEUED"),
            RedisFault::None => Reply::Number(self.broker.publish(channel, message)),
            RedisFault::SubscribersElsewhere | RedisFault::SubscribersAtReplica => {
                self.broker.publish(channel, message);
                Reply::Number(0)
            }
        }
    }

    fn role(&self) -> Reply {
        let replica = ["10.0.0.1", "6379", "0"].map(Reply::bulk);
        let replicas = match self.broker.fault() {
            RedisFault::SubscribersAtReplica => vec![Reply::Array(replica.into())],
            _ => Vec::new(),
        };
        Reply::Array(vec![Reply::bulk("master"), Reply::Number(0), Reply::Array(replicas)])
    }

    fn hello(&mut self, version: Option<&Bytes>) -> Reply {
        match version.map(AsRef::as_ref) {
            None => {}
            Some(b"2") => self.version = 2,
            Some(b"3") => self.version = 3,
            Some(_) => return Reply::Error("NOPROTO unsupported protocol version".to_owned()),
        }
        let is_cluster = self.broker.fault() == RedisFault::SubscribersElsewhere;
        let mode = if is_cluster { "cluster" } else { "standalone" };
        Reply::Map(vec![
            ("server", Reply::bulk("redis")),
            ("version", Reply::bulk("6.0.0")),
            ("proto", Reply::Number(self.version.into())),
            ("mode", Reply::bulk(mode)),
            ("role", Reply::bulk("master")),
        ])
    }

    fn subscribe(&mut self, channels: &[Bytes]) -> bool {
        for channel in channels {
            if self.channels.len() == MAX_CHANNELS && !self.channels.contains(channel) {
                self.reply(&Reply::Error(format!("ERR more than {MAX_CHANNELS} channels")));
                return true;
            }
            self.broker.subscribe(channel, self.id, &self.listener);
            self.channels.insert(channel.clone());
            self.confirm("subscribe", Reply::Bulk(channel.clone()));
        }
        true
    }

    fn unsubscribe(&mut self, channels: &[Bytes]) -> bool {
        let all: Vec<_> = self.channels.iter().cloned().collect();
        let channels = if channels.is_empty() { &all } else { channels };
        for channel in channels {
            self.broker.unsubscribe(channel, self.id);
            self.channels.remove(channel);
            self.confirm("unsubscribe", Reply::Bulk(channel.clone()));
        }
        if channels.is_empty() {
            self.confirm("unsubscribe", Reply::Null);
        }
        true
    }

    fn confirm(&mut self, kind: &'static str, channel: Reply) {
        let count = Reply::Number(self.channels.len());
        self.reply(&push(kind, channel, count));
    }
}
