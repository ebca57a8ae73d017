use super::*;

#[tokio::test]
async fn a_drain_finishes_running_requests_and_closes_idle_connections() {
    let gate = Gate::new();
    let server = run(None, patient(), router(&gate)).await;
    let mut idle = Raw::open(server.address).await;
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.until("hello").await;
    let mut busy = Raw::open(server.address).await;
    busy.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    gate.entered.notified().await;

    server.drain.order();
    assert_eq!(idle.rest().await, "");
    assert!(
        TcpStream::connect(server.address).await.is_err() || Raw::open(server.address).await.rest().await.is_empty()
    );
    gate.release.add_permits(1);
    let answer = busy.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("let go"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(server.serving.await.unwrap(), 0);
    assert_eq!(server.metrics.open.get(), 0);
}

#[tokio::test]
async fn what_runs_past_the_drain_deadline_is_cut_off() {
    let gate = Gate::new();
    let server = run(None, Limits { drain_deadline: SOON, ..patient() }, router(&gate)).await;
    let mut busy = Raw::open(server.address).await;
    busy.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    gate.entered.notified().await;
    server.drain.order();
    assert_eq!(server.serving.await.unwrap(), 1);
    assert_eq!(busy.rest().await, "");
    assert_eq!(server.metrics.open.get(), 0);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_handshake() {
    let ca = DevelopmentCa::generate().unwrap();
    let server = run(Some(server_tls(&ca, None)), patient(), router(&Gate::new())).await;
    let mut silent = Raw::open(server.address).await;
    server.drain.order();
    assert_eq!(silent.rest().await, "");
    assert_eq!(server.serving.await.unwrap(), 0);
}
