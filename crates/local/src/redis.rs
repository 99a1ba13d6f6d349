//! In the place of Redis: a broker that publishes and subscribes, and has no other command.

mod resp;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};

use resp::{Reply, take_command};

/// Clients at once.
const MAX_CLIENTS: usize = 1000;

/// Channels that one client may subscribe to.
const MAX_CHANNELS: usize = 64;

/// Messages that may wait for a slow subscriber. It is cut off at the next one, as Redis does it.
const MAX_WAITING: usize = 8192;

/// How long a client may leave us unable to write to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves Redis clients. They are cut off when this future is dropped.
pub async fn serve(listener: TcpListener) -> Infallible {
    let broker = Broker::default();
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) if clients.len() < MAX_CLIENTS => {
                clients.spawn(Client::serve(broker.clone(), stream));
            }
            Ok(_) => tracing::warn!(MAX_CLIENTS, "redis: too many clients, one turned away"),
            Err(error) => {
                tracing::warn!(%error, "redis: cannot accept a client");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Who listens to which channel.
#[derive(Clone, Default)]
struct Broker {
    channels: Arc<Mutex<Channels>>,
    next_client: Arc<AtomicU64>,
}

type Channels = BTreeMap<Bytes, BTreeMap<u64, Listener>>;

/// The broker's way to a client.
#[derive(Clone)]
struct Listener {
    messages: mpsc::Sender<Reply>,
    too_slow: Arc<Notify>,
}

impl Broker {
    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many received the message.
    fn publish(&self, channel: &Bytes, message: &Bytes) -> usize {
        let mut channels = self.lock();
        let Some(listeners) = channels.get_mut(channel) else { return 0 };
        let message = push("message", Reply::Bulk(channel.clone()), Reply::Bulk(message.clone()));
        listeners.retain(|_, listener| {
            let received = listener.messages.try_send(message.clone()).is_ok();
            if !received {
                listener.too_slow.notify_one();
            }
            received
        });
        listeners.len()
    }

    fn subscribe(&self, channel: &Bytes, client: u64, listener: &Listener) {
        self.lock().entry(channel.clone()).or_default().insert(client, listener.clone());
    }

    fn unsubscribe(&self, channel: &Bytes, client: u64) {
        let mut channels = self.lock();
        if let Some(listeners) = channels.get_mut(channel) {
            listeners.remove(&client);
            if listeners.is_empty() {
                channels.remove(channel);
            }
        }
    }
}

/// One client. It is forgotten by the broker when this is dropped.
struct Client {
    id: u64,
    broker: Broker,
    listener: Listener,
    channels: BTreeSet<Bytes>,
    version: u8,
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
    async fn serve(broker: Broker, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let id = broker.next_client.fetch_add(1, Ordering::Relaxed);
        let (messages, mut inbox) = mpsc::channel(MAX_WAITING);
        let too_slow = Arc::new(Notify::new());
        let listener = Listener { messages, too_slow: Arc::clone(&too_slow) };
        let channels = BTreeSet::new();
        let mut client = Self { id, broker, listener, channels, version: 2, out: BytesMut::new() };
        let mut received = BytesMut::new();
        loop {
            tokio::select! {
                read = stream.read_buf(&mut received) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {
                        let goes_on = client.answer_all(&mut received);
                        if client.send(&mut stream).await.is_err() || !goes_on {
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
                    tracing::warn!("redis: a subscriber is too slow, cut off");
                    return;
                }
            }
        }
    }

    async fn send(&mut self, stream: &mut TcpStream) -> std::io::Result<()> {
        timeout(WRITE_TIMEOUT, stream.write_all_buf(&mut self.out)).await?
    }

    /// Answers the commands that are complete; returns whether the connection goes on.
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

    /// Answers one command; returns whether the connection goes on.
    fn answer(&mut self, command: &[Bytes]) -> bool {
        let Some((name, arguments)) = command.split_first() else { return true };
        let name = name.to_ascii_uppercase();
        let reply = match (name.as_slice(), arguments) {
            (b"PUBLISH", [channel, message]) => {
                Reply::Number(self.broker.publish(channel, message))
            }
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

    fn hello(&mut self, version: Option<&Bytes>) -> Reply {
        match version.map(AsRef::as_ref) {
            None => {}
            Some(b"2") => self.version = 2,
            Some(b"3") => self.version = 3,
            Some(_) => return Reply::Error("NOPROTO unsupported protocol version".to_owned()),
        }
        Reply::Map(vec![
            ("server", Reply::bulk("redis")),
            ("version", Reply::bulk("6.0.0")),
            ("proto", Reply::Number(self.version.into())),
            ("mode", Reply::bulk("standalone")),
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

fn push(kind: &'static str, channel: Reply, value: Reply) -> Reply {
    Reply::Push(vec![Reply::bulk(kind), channel, value])
}
