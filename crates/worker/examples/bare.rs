//! The baseline of the worker's benchmark: the plainest axum handler of the same request.
//!
//! It reads the same JSON and gives the same answer, without a hash, without Redis, without limits.

use axum::{Json, Router, routing::post};
use tokio::net::TcpListener;

#[derive(serde::Deserialize)]
struct Work {
    #[serde(rename = "str")]
    _text: String,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(8081);
    let router = Router::new().route("/", post(async |_: Json<Work>| "OK"));
    axum::serve(TcpListener::bind(("127.0.0.1", port)).await?, router).await
}
