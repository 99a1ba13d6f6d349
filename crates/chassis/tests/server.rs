//! The server, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::time::Duration;

use axum::{
    Router,
    body::to_bytes,
    extract::Request,
    http::StatusCode,
    routing::{get, post},
};
use chassis::{
    Shutdown,
    server::{
        HEAD_TIMEOUT, IDLE_TIMEOUT, Limits, REQUEST_TIMEOUT, WRITE_TIMEOUT, listen_locally,
        serve_within,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::{advance, pause, resume, sleep, timeout},
};

/// A server that runs in the background of a test.
struct Server {
    address: std::net::SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Server {
    /// `GET /` is answered at once, `POST /refuse` without reading the body, `POST /read` after it.
    fn start(limits: Limits) -> Self {
        let listener = listen_locally("test", 0).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let refuse = async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n");
        let read = async |request: Request| match to_bytes(request.into_body(), 1 << 24).await {
            Ok(body) => (StatusCode::OK, body.len().to_string()),
            Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        };
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/slow", get(async || sleep(Duration::from_millis(300)).await))
            .route("/refuse", post(refuse))
            .route("/read", post(read));
        let task = tokio::spawn(serve_within(limits, listener, router, shutdown.clone()));
        Self { address, shutdown, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

const GET: &str = "GET / HTTP/1.1\r\nhost: s\r\n\r\n";

/// Returns what arrives until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut text));
    read.await.expect("the connection is still open").expect("the connection was reset");
    String::from_utf8(text).unwrap()
}

/// Sends `GET /` and reads the answer, which has a body of five bytes.
async fn ask(stream: &mut TcpStream) -> Result<String, std::io::Error> {
    stream.write_all(GET.as_bytes()).await?;
    let mut answer = String::new();
    while !answer.ends_with("hello") {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer += std::str::from_utf8(&piece[..length]).unwrap();
    }
    Ok(answer)
}

/// The answers to a client that writes its whole request before it reads.
async fn write_then_read(server: &Server, path: &str, length: usize) -> String {
    let mut stream = server.connect().await;
    let head = format!("POST {path} HTTP/1.1\r\nhost: s\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'a'; 16 * 1024];
    for _ in 0..length / piece.len() {
        stream.write_all(&piece).await.expect("the connection was reset while the client wrote");
    }
    rest(&mut stream).await
}

#[tokio::test]
async fn an_answer_before_the_end_of_a_body_is_not_lost_and_says_that_it_closes() {
    let server = Server::start(Limits::default());
    for length in [64 * 1024, 1 << 20, 5 << 20] {
        for (path, status) in [("/refuse", 413), ("/nope", 404), ("/", 405)] {
            let answer = write_then_read(&server, path, length).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
            assert!(answer.contains("connection: close\r\n"), "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_discarded_for_a_bounded_time() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect().await;
    let head = "POST /refuse HTTP/1.1\r\nhost: s\r\ncontent-length: 9999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let write = async { while stream.write_all(&[b'a'; 16 * 1024]).await.is_ok() {} };
    timeout(Duration::from_secs(10), write).await.expect("the server reads on");
}

#[tokio::test]
async fn a_request_whose_body_was_read_leaves_the_connection_open() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect().await;
    let request = "POST /read HTTP/1.1\r\nhost: s\r\ncontent-length: 5\r\n\r\nhello";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = ask(&mut stream).await.unwrap();
    assert!(!answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_client_that_ends_its_half_is_answered() {
    let server = Server::start(Limits::default());
    for path in ["/", "/slow"] {
        let mut stream = server.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: s\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer:?}");
    }
}

/// Lets time pass for the server.
async fn pass(time: Duration) {
    // What has arrived is handled before.
    sleep(Duration::from_millis(50)).await;
    pause();
    advance(time).await;
    resume();
    sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn an_idle_connection_lives_longer_than_any_caller_keeps_it() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect().await;
    ask(&mut stream).await.unwrap();
    pass(Duration::from_mins(61)).await;
    ask(&mut stream).await.expect("closed before Envoy closes it");
    pass(IDLE_TIMEOUT + Duration::from_secs(1)).await;
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_slow_head_and_a_silent_connection_end_after_thirty_seconds() {
    let server = Server::start(Limits::default());
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    let mut second = server.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
    ask(&mut second).await.unwrap();
    second.write_all(b"GET / HT").await.unwrap();
    pass(HEAD_TIMEOUT / 2).await;
    slow.write_all(b": s").await.unwrap();
    pass(HEAD_TIMEOUT / 2).await;
    for stream in [&mut silent, &mut slow, &mut second] {
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn a_request_whose_body_does_not_arrive_is_answered_408() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect().await;
    let head = "POST /read HTTP/1.1\r\nhost: s\r\ncontent-length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    pass(REQUEST_TIMEOUT).await;
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_never_reads_is_disconnected() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect().await;
    let requests = GET.repeat(1000);
    let mut write = async |time: Duration| {
        let write = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
        timeout(time, write).await
    };
    // The server first stops reading, because its answers are not read.
    let blocked = write(Duration::from_secs(2)).await;
    blocked.expect_err("the connection ended before its time");
    pass(WRITE_TIMEOUT).await;
    write(Duration::from_secs(10)).await.expect("the connection is still open");
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_one_that_waits_longest() {
    let server = Server::start(Limits { connections: 2, ..Limits::default() });
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    ask(&mut first).await.unwrap();
    ask(&mut second).await.unwrap();
    // Nobody has waited for a second yet.
    let mut third = server.connect().await;
    // A client that writes slowly gets its answer, too.
    sleep(Duration::from_millis(200)).await;
    third.write_all(GET.as_bytes()).await.unwrap();
    let refused = rest(&mut third).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(
        refused.ends_with("\r\n\r\ntoo many connections are open; try again soon"),
        "{refused}"
    );
    sleep(Duration::from_millis(600)).await;
    ask(&mut first).await.unwrap();
    sleep(Duration::from_millis(1200)).await;
    ask(&mut server.connect().await).await.unwrap();
    assert_eq!(rest(&mut second).await, "", "it had waited longest");
    ask(&mut first).await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_being_answered_is_not_evicted_for_its_slow_head() {
    let server = Server::start(Limits { connections: 2, ..Limits::default() });
    let (mut slow, mut idle) = (server.connect().await, server.connect().await);
    slow.write_all(b"GET /slow HTTP/1.1\r\n").await.unwrap();
    sleep(Duration::from_millis(1300)).await;
    ask(&mut idle).await.unwrap();
    sleep(Duration::from_millis(1300)).await;
    slow.write_all(b"host: s\r\nconnection: close\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    ask(&mut server.connect().await).await.expect("the idle connection makes room");
    assert!(rest(&mut slow).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(rest(&mut idle).await, "");
}

#[tokio::test]
async fn many_small_pieces_of_a_body_cost_what_they_take() {
    let server = Server::start(Limits { body_bytes: 64 * 1024, ..Limits::default() });
    let mut stream = server.connect().await;
    let head = "POST /read HTTP/1.1\r\nhost: s\r\ntransfer-encoding: chunked\r\n\r\n";
    stream
        .write_all(format!("{head}{}0\r\n\r\n", "1\r\na\r\n".repeat(2000)).as_bytes())
        .await
        .unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.contains("receives too much at once"), "{answer}");
}

#[tokio::test]
async fn the_bodies_of_all_requests_have_a_limit_together() {
    let server = Server::start(Limits { body_bytes: 512 * 1024, ..Limits::default() });
    let head = "POST /read HTTP/1.1\r\nhost: s\r\ncontent-length: 200000\r\n\r\n";
    let mut first = server.connect().await;
    first.write_all(head.as_bytes()).await.unwrap();
    first.write_all(&[b'a'; 199_999]).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let refused = write_then_read(&server, "/read", 192 * 1024).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("receives too much at once"), "{refused}");
    first.write_all(b"a").await.unwrap();
    ask(&mut first).await.unwrap();
    let fits =
        "POST /read HTTP/1.1\r\nhost: s\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc";
    let mut next = server.connect().await;
    next.write_all(fits.as_bytes()).await.unwrap();
    assert!(rest(&mut next).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn while_it_ends_each_answer_says_that_the_connection_closes() {
    let server = Server::start(Limits::default());
    let mut open = server.connect().await;
    let answer = ask(&mut open).await.unwrap();
    assert!(!answer.contains("connection: close"), "{answer}");
    let mut late = server.connect().await;
    late.write_all(b"GET /slow HTTP/1.1\r\nhost: s\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    // This one has not been accepted yet, and its request arrives a little later.
    let mut last = server.connect().await;
    server.shutdown.stop();
    last.write_all(GET.as_bytes()).await.unwrap();
    let answer = rest(&mut last).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = rest(&mut late).await;
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(rest(&mut open).await, "");
    timeout(Duration::from_secs(5), server.task).await.expect("the server still runs").unwrap();
}
