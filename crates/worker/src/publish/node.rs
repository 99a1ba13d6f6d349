//! What a new connection to Redis is good for: whether its user may publish, and whether its node
//! knows all listeners.

use std::collections::HashMap;

use contract::calculation::CHANNEL;
use redis::{RedisResult, Value, aio::MultiplexedConnection};

/// What a new connection is good for.
pub(super) struct Node {
    /// Whether a count of no listeners means that nobody listens. A node of a cluster counts its own
    /// subscribers only, and so does a node that replicates to others.
    pub(super) knows_all_listeners: bool,
}

/// Finds out what a connection is good for, in two round trips. Redis checks the right to a command
/// when it queues it in a transaction; the transaction is then discarded, so nothing is published.
///
/// The connection must be new: what others sent meanwhile would be discarded, too.
///
/// # Errors
/// Why calculations cannot be published.
pub(super) async fn examine(connection: &mut MultiplexedConnection) -> RedisResult<Node> {
    let mut questions = redis::pipe();
    questions.cmd("HELLO").cmd("ROLE").cmd("MULTI").ignore_errors();
    let answers: Vec<RedisResult<Value>> = questions.query_async(connection).await?;
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
    let (hello, role, transaction) = (next(), next(), next());
    match transaction {
        Ok(_) => check_publish(connection).await?,
        // A user may be allowed to publish and nothing else. That cannot be checked this way.
        Err(error) if ["NOPERM", "ERR"].contains(&error.code().unwrap_or_default()) => {}
        Err(error) => return Err(error),
    }
    Ok(Node { knows_all_listeners: knows_all_listeners(hello, role) })
}

/// Queues a publication in the transaction that was begun, and discards both.
async fn check_publish(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut commands = redis::pipe();
    commands.cmd("PUBLISH").arg(CHANNEL).arg("").cmd("DISCARD").ignore_errors();
    let answers: Vec<RedisResult<Value>> = commands.query_async(connection).await?;
    answers.into_iter().try_for_each(|answer| answer.map(|_| ()))
}

fn knows_all_listeners(hello: RedisResult<Value>, role: RedisResult<Value>) -> bool {
    // A server that does not answer these is taken for the only one, as most are.
    let hello: HashMap<String, Value> =
        hello.ok().and_then(|hello| redis::from_redis_value(hello).ok()).unwrap_or_default();
    let is = |field: &str, expected: &str| {
        hello.get(field).is_none_or(|value| text(value).is_none_or(|text| text == expected))
    };
    let has_replicas = match role {
        Ok(Value::Array(role)) => {
            matches!(role.as_slice(), [_, _, Value::Array(replicas)] if !replicas.is_empty())
        }
        _ => false,
    };
    is("mode", "standalone") && is("role", "master") && !has_replicas
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
