//! A caller whose answers a test sets.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use fakes::testing::{BackgroundTask, listener, spawn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// What a caller answers.
#[derive(Clone)]
pub(super) enum Answer {
    /// Its metrics.
    Text(String),
    /// These bytes, and the end of the connection.
    Raw(Vec<u8>),
    /// Nothing.
    Hang,
}

/// A caller. It ends when it is dropped, with all connections.
pub(super) struct ScriptedCaller {
    pub(super) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _task: BackgroundTask,
}

struct Script {
    text: String,
    /// Instead of the text.
    fault: Option<Answer>,
}

impl ScriptedCaller {
    pub(super) async fn start() -> Self {
        let (listener, address) = listener();
        let script = Arc::new(Mutex::new(Script { text: String::new(), fault: None }));
        let shared = Arc::clone(&script);
        let task = spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, script, _task: task }
    }

    pub(super) fn set_text(&self, text: String) {
        self.script.lock().unwrap().text = text;
    }

    pub(super) fn break_with(&self, answer: Answer) {
        self.script.lock().unwrap().fault = Some(answer);
    }

    pub(super) fn mend(&self) {
        self.script.lock().unwrap().fault = None;
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        request.clear();
        let answer = {
            let Script { text, fault } = &*script.lock().unwrap();
            fault.clone().unwrap_or_else(|| Answer::Text(text.clone()))
        };
        match answer {
            Answer::Text(text) => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(text.as_bytes()).await?;
            }
            Answer::Raw(bytes) => return stream.write_all(&bytes).await,
            Answer::Hang => std::future::pending().await,
        }
    }
}

/// The metrics of a sidecar that has counted requests to primary and to burst.
pub(super) fn text([primary, burst]: [f64; 2]) -> String {
    let mut text = "# TYPE istio_requests_total counter\n".to_owned();
    for (cluster, count) in [("primary", primary), ("burst", burst)] {
        // Envoy leaves out what it has never counted.
        if 0.0 < count {
            text += &format!(
                "istio_requests_total{{reporter=\"source\",source_workload=\"frontend-deployment\",\
                 source_workload_namespace=\"default\",\
                 destination_service=\"worker-service.default.svc.cluster.local\",\
                 destination_cluster=\"{cluster}\",response_code=\"200\"}} {count}\n"
            );
        }
    }
    text
}
