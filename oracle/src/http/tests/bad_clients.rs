use super::*;

async fn plain(limits: Limits) -> (Running, Gate) {
    let gate = Gate::new();
    (run(None, limits, router(&gate)).await, gate)
}

fn problem(answer: &str, status: &str, slug: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    assert!(answer.contains(&format!(r#""type":"urn:siwa:problem:{slug}""#)), "{answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
}

#[tokio::test]
async fn a_half_sent_head_is_closed() {
    let (server, _) = plain(Limits { header_timeout: SOON, ..patient() }).await;
    for half in ["", "GET", "GET / HTTP/1.1\r\nHost: a\r\nX-Secret: ab"] {
        let mut client = Raw::open(server.address).await;
        client.send(half).await;
        assert_eq!(client.rest().await, "", "{half}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_last_answer() {
    let (server, _) = plain(Limits { header_timeout: SOON, ..patient() }).await;
    let mut client = Raw::open(server.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.rest().await.ends_with("\r\n\r\nhello"));
}

#[tokio::test]
async fn a_slow_body_is_answered_408_and_closed() {
    let (server, _) = plain(Limits { request_timeout: SOON, ..patient() }).await;
    let mut client = Raw::open(server.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    problem(&client.rest().await, "408", "body-timeout");
    assert_eq!(server.metrics.deadlines_passed.get(), 1);
}

#[tokio::test]
async fn a_handler_past_the_deadline_is_answered_503() {
    let (server, _) = plain(Limits { request_timeout: SOON, ..patient() }).await;
    let mut client = Raw::open(server.address).await;
    client.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    problem(&client.rest().await, "503", "deadline");
}

#[tokio::test]
async fn an_oversized_body_is_answered_413_and_closed() {
    let (server, _) = plain(patient()).await;
    let over = "x".repeat(1001);
    for body in
        [format!("Content-Length: 1001\r\n\r\n{over}"), format!("Transfer-Encoding: chunked\r\n\r\n3e9\r\n{over}")]
    {
        let mut client = Raw::open(server.address).await;
        client.send(&format!("POST / HTTP/1.1\r\nHost: a\r\n{body}")).await;
        problem(&client.rest().await, "413", "body-too-large");
    }
    let mut client = Raw::open(server.address).await;
    client.send(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{}", &over[1..])).await;
    assert!(client.until("\r\n\r\n1000").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_ends_early_reaches_nobody() {
    let (server, _) = plain(patient()).await;
    let mut client = Raw::open(server.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    client.0.shutdown().await.unwrap();
    let answer = client.rest().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let (server, _) = plain(patient()).await;
    let many = (0..100).map(|i| format!("a{i}: b\r\n")).collect::<String>();
    let long = format!("A: {}\r\n", "b".repeat(70_000));
    let smuggled = "Content-Length: 1\r\nContent-Length: 2\r\n";
    for (request, status) in [
        ("\u{16}\u{3}\u{1} garbage\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{long}\r\n"), "431"),
        (format!("POST / HTTP/1.1\r\nHost: a\r\n{smuggled}\r\n"), "400"),
    ] {
        let mut client = Raw::open(server.address).await;
        let _ = client.0.write_all(request.as_bytes()).await;
        let answer = client.rest().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) || answer.is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let (server, _) = plain(patient()).await;
    let mut client = Raw::open(server.address).await;
    client.send("GET /secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let answer = client.rest().await;
    problem(&answer, "404", "not-found");
    assert!(!answer.contains("secret"));
    let mut client = Raw::open(server.address).await;
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let answer = client.rest().await;
    problem(&answer, "405", "method-not-allowed");
    assert!(answer.contains("allow: GET,HEAD,POST\r\n"), "{answer}");
}

#[tokio::test]
async fn beyond_the_cap_connections_are_closed_until_one_ends() {
    let (server, _) = plain(Limits { connections_max: 1, ..patient() }).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = Raw::open(server.address).await;
    first.send(request).await;
    first.until("hello").await;
    let mut second = Raw::open(server.address).await;
    assert_eq!(second.rest().await, "");
    assert_eq!((server.metrics.shed.get(), server.metrics.open.get()), (1, 1));
    first.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    first.rest().await;
    // The place is given back just after the last byte.
    loop {
        let mut third = Raw::open(server.address).await;
        let _ = third.0.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        if third.rest().await.ends_with("hello") {
            break;
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let large = Router::new().route("/", get(async || vec![b'x'; 64 * 1024 * 1024]));
    let server = run(None, Limits { request_timeout: SOON, ..patient() }, large).await;
    let mut client = Raw::open(server.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.until("HTTP/1.1 200").await;
    server.drain.order();
    assert_eq!(server.serving.await.unwrap(), 0, "it ended by itself, long before the drain deadline");
}
