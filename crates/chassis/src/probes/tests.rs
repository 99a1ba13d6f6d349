use super::*;

fn redis() -> Dependency {
    Readiness::new(Shutdown::new()).register("redis")
}

/// Returns what the log says of a dependency that is up now, if it says anything.
fn up(dependency: &Dependency) -> Option<&'static str> {
    dependency.record_up().map(|down| down.end())
}

#[tokio::test]
async fn a_dependency_is_ready_at_first_and_recovered_after_a_failure() {
    let redis = redis();
    assert_eq!([up(&redis), up(&redis)], [Some("ready"), None]);
    let is_news = ["refused", "refused", "silent"].map(|reason| redis.record_down(reason));
    assert_eq!(is_news, [true, false, true]);
    assert_eq!([up(&redis), up(&redis)], [Some("recovered"), None]);
}

#[tokio::test]
async fn a_dependency_that_fails_before_its_first_contact_recovers() {
    let redis = redis();
    assert!(redis.record_down("refused"));
    assert_eq!(up(&redis), Some("recovered"));
}

#[tokio::test]
async fn a_process_is_ready_when_all_dependencies_are_up_and_it_is_not_ending() {
    let shutdown = Shutdown::new();
    let readiness = Readiness::new(shutdown.clone());
    let (redis, rate) = (readiness.register("redis"), readiness.register("rate"));
    redis.up();
    assert_eq!(readiness.not_ready_reason().as_deref(), Some("rate: not reached yet"));
    rate.up();
    assert_eq!(readiness.not_ready_reason(), None);
    redis.down("refused");
    assert_eq!(readiness.not_ready_reason().as_deref(), Some("redis: refused"));
    assert_eq!(
        (redis.not_ready_reason().as_deref(), rate.not_ready_reason()),
        (Some("refused"), None)
    );
    shutdown.stop();
    assert_eq!(readiness.not_ready_reason().as_deref(), Some("ending"));
}
