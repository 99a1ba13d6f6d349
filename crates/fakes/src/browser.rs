//! Stands for a visitor's browser: a small socket.io client (protocol version 5, over a WebSocket).

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest as _},
};

/// A connected browser.
///
/// Its functions panic when the frontend does not answer as they expect.
pub struct FakeBrowser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    waiting: VecDeque<(String, Value)>,
}

impl FakeBrowser {
    /// Connects, as the page does when a visitor opens it.
    pub async fn open(address: SocketAddr) -> Self {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (socket, _) = connect_async(url).await.unwrap();
        Self::welcomed(socket).await
    }

    async fn welcomed(mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        socket.send(Message::text("40")).await.unwrap();
        let mut browser = Self { socket, waiting: VecDeque::new() };
        while !browser.packet().await.starts_with("40") {}
        browser
    }

    /// Connects with a small receive buffer, which is soon full when the browser reads nothing.
    pub async fn open_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = MaybeTlsStream::Plain(socket.connect(address).await.unwrap());
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (socket, _) = client_async(url, stream).await.unwrap();
        Self::welcomed(socket).await
    }

    /// Connects as a page of another origin does.
    ///
    /// # Errors
    /// When the frontend refuses the connection.
    pub async fn open_from(origin: &str, url: &str) -> tungstenite::Result<()> {
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("origin", origin.parse().unwrap());
        connect_async(request).await.map(|_| ())
    }

    /// Connects and disconnects at once.
    pub async fn open_and_leave(address: SocketAddr) {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (mut socket, _) = connect_async(url).await.unwrap();
        socket.feed(Message::text("40")).await.unwrap();
        socket.feed(Message::text("41")).await.unwrap();
        socket.flush().await.unwrap();
        socket.close(None).await.unwrap();
    }

    /// Waits for the next packet that is not a ping.
    async fn packet(&mut self) -> String {
        loop {
            let message = timeout(Duration::from_secs(30), self.socket.next()).await;
            match message
                .expect("the frontend is silent")
                .expect("the connection has ended")
                .unwrap()
            {
                Message::Text(text) if text.as_str() == "2" => {
                    self.socket.send(Message::text("3")).await.unwrap();
                }
                Message::Text(text) => return text.as_str().to_owned(),
                _ => {}
            }
        }
    }

    /// Waits for the next event of a name and returns its argument. Earlier events are dropped.
    pub async fn event(&mut self, name: &str) -> Value {
        if let Some(at) = self.waiting.iter().position(|(waiting, _)| waiting == name) {
            return self.waiting.drain(..=at).next_back().unwrap().1;
        }
        loop {
            let packet = self.packet().await;
            if let Some((event, argument)) = packet.strip_prefix("42").map(parse_event)
                && event == name
            {
                return argument;
            }
        }
    }

    /// Emits an event without asking for an acknowledgement.
    pub async fn emit(&mut self, name: &str, argument: Option<Value>) {
        let event: Vec<_> = [json!(name)].into_iter().chain(argument).collect();
        self.socket.send(Message::text(format!("42{}", json!(event)))).await.unwrap();
    }

    /// Requests a rate; returns the acknowledgement.
    pub async fn request_rate(&mut self, freq: Value) -> Value {
        let event = json!(["frequency", { "freq": freq }]);
        self.socket.send(Message::text(format!("427{event}"))).await.unwrap();
        loop {
            let packet = self.packet().await;
            if let Some(arguments) = packet.strip_prefix("437") {
                return serde_json::from_str::<Value>(arguments).unwrap()[0].clone();
            }
            if let Some(event) = packet.strip_prefix("42") {
                self.waiting.push_back(parse_event(event));
            }
        }
    }

    /// Waits for statistics for which `is_true` holds, and returns them.
    pub async fn stats(&mut self, is_true: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let waiting = async {
            loop {
                last = self.event("stats").await;
                if is_true(&last) {
                    return;
                }
            }
        };
        let in_time = timeout(Duration::from_secs(20), waiting).await.is_ok();
        assert!(in_time, "not reported within 20 s; the last report is {last}");
        last
    }
}

fn parse_event(json: &str) -> (String, Value) {
    let event: Vec<Value> = serde_json::from_str(json).unwrap();
    let name = event[0].as_str().unwrap().to_owned();
    (name, event.into_iter().nth(1).unwrap_or_default())
}
