use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::http::tests::{Gate, NEVER, Running, SOON, patient, router, run, server_tls};
use crate::http::{DevelopmentCa, Limits, Problem};

fn options(server: &Running, ca: &DevelopmentCa) -> ClientOptions {
    let url = format!("https://{}", server.address);
    ClientOptions { deadline: NEVER, ..ClientOptions::new(url, vec![ca.certificate().clone()]) }
}

async fn serving(router: Router, limits: Limits) -> (Running, DevelopmentCa) {
    let ca = DevelopmentCa::generate().unwrap();
    (run(Some(server_tls(&ca, None)), limits, router).await, ca)
}

#[tokio::test]
async fn calls_share_one_connection() {
    let echo = Router::new().route("/", post(async |Json(value): Json<serde_json::Value>| Json(value)));
    let (server, ca) = serving(echo, Limits { connections_max: 1, ..patient() }).await;
    let client = Client::new(options(&server, &ca)).unwrap();
    for number in 0..20 {
        let value = serde_json::json!({ "number": number });
        let answer = client.post("/").json(&value).send().await.unwrap();
        assert_eq!(answer.json::<serde_json::Value>().unwrap(), value);
    }
    assert_eq!(server.metrics.shed.get(), 0);
}

#[tokio::test]
async fn a_bearer_is_sent_and_a_call_may_bring_its_own() {
    let show = async |headers: HeaderMap| headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
    let (server, ca) = serving(Router::new().route("/", get(show)), patient()).await;
    let options = ClientOptions { bearer: Some("kept".to_owned()), ..options(&server, &ca) };
    let client = Client::new(options).unwrap();
    assert_eq!(client.get("/").send().await.unwrap().body, "Bearer kept");
    assert_eq!(client.get("/").bearer("own").send().await.unwrap().body, "Bearer own");
    assert!(matches!(client.get("/").bearer("a\nb").send().await, Err(ClientError::Request)));
    assert!(matches!(client.get("https://elsewhere/").send().await, Err(ClientError::Request)));
}

#[tokio::test]
async fn a_refusal_is_typed_and_keeps_nothing_else() {
    let refuse = async || Problem::too_many_requests(7).with_detail("about you");
    let spoof =
        async || (StatusCode::CONFLICT, [(header::CONTENT_TYPE, "application/problem+json")], r#"{"type":"<script>"}"#);
    let plain = async || (StatusCode::BAD_GATEWAY, "secret").into_response();
    let router = Router::new().route("/refuse", get(refuse)).route("/spoof", get(spoof)).route("/plain", get(plain));
    let (server, ca) = serving(router, patient()).await;
    let client = Client::new(options(&server, &ca)).unwrap();
    let refusal = async |path| client.get(path).send().await.unwrap_err();

    let error = refusal("/refuse").await;
    assert_eq!((error.status(), error.problem()), (Some(429), Some("too-many-requests")));
    assert!(matches!(error, ClientError::Refused { retry_after_s: Some(7), .. }));
    assert_eq!(refusal("/spoof").await.to_string(), "refused with status 409: about:blank");
    assert_eq!(refusal("/plain").await.to_string(), "refused with status 502: about:blank");
    assert_eq!(refusal("/nowhere").await.problem(), Some("not-found"));
}

#[tokio::test]
async fn a_refusal_is_an_answer_to_who_asks_for_one() {
    let challenge = async || (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "PrivateToken")], "shown");
    let (server, ca) = serving(Router::new().route("/challenge", get(challenge)), patient()).await;
    let client = Client::new(options(&server, &ca)).unwrap();
    let answer = client.get("/challenge").any_status().send().await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::UNAUTHORIZED, &b"shown"[..]));
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "PrivateToken");
    let judged = answer.judged().unwrap_err();
    assert_eq!(judged.to_string(), "refused with status 401: about:blank");
    assert_eq!(client.get("/challenge").send().await.unwrap_err().status(), Some(401));
}

#[tokio::test]
async fn not_modified_is_an_answer() {
    let router = Router::new().route("/", get(async || StatusCode::NOT_MODIFIED));
    let (server, ca) = serving(router, patient()).await;
    let client = Client::new(options(&server, &ca)).unwrap();
    assert_eq!(client.get("/").send().await.unwrap().status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn answers_are_bounded_and_calls_end() {
    let router = router(&Gate::new()).route("/large", get(async || vec![0; 101]));
    let (server, ca) = serving(router, patient()).await;
    let client = Client::new(ClientOptions { answer_bytes_max: 100, ..options(&server, &ca) }).unwrap();
    assert!(matches!(client.get("/large").send().await, Err(ClientError::AnswerTooLarge)));
    assert!(matches!(client.get("/gate").deadline(SOON).send().await, Err(ClientError::Deadline)));
    // What was broken off half-way is not used again.
    assert_eq!(client.get("/").send().await.unwrap().body, "hello");
}

#[tokio::test]
async fn only_the_pinned_roots_vouch() {
    let (server, ca) = serving(router(&Gate::new()), patient()).await;
    let other = DevelopmentCa::generate().unwrap();
    let client = Client::new(options(&server, &other)).unwrap();
    assert!(matches!(client.get("/").send().await, Err(ClientError::Connect(_))));
    let url = format!("https://localhost:{}", server.address.port());
    let client = Client::new(ClientOptions::new(url, vec![ca.certificate().clone()])).unwrap();
    assert_eq!(client.get("/").send().await.unwrap().body, "hello");
}

#[test]
fn urls_are_of_one_form() {
    let refused = |url: &str| matches!(Client::new(ClientOptions::new(url, Vec::new())), Err(ClientError::Url));
    for url in ["", "https://", "ftp://a", "http://example.org", "https://a/path", "https://a?b", "https://u@a"] {
        assert!(refused(url), "{url}");
    }
    for url in ["https://a", "https://[::1]:7/", "http://127.0.0.1:80", "http://[::1]"] {
        assert!(!refused(url), "{url}");
    }
}

/// A peer that answers one request on each connection and closes it, as a server does whose idle limit passed.
async fn forgetful(listener: TcpListener, requests: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        requests.fetch_add(1, Ordering::SeqCst);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    }
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
}

#[tokio::test]
async fn a_closed_connection_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    tokio::spawn(forgetful(listener, Arc::clone(&requests)));
    let client = Client::new(ClientOptions { deadline: NEVER, ..ClientOptions::new(url, Vec::new()) }).unwrap();
    for _ in 0..5 {
        assert_eq!(client.get("/").send().await.unwrap().body, "ok");
    }
    assert_eq!(requests.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_post_that_may_have_arrived_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            read_head(&mut stream).await;
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let client = Client::new(ClientOptions { deadline: NEVER, ..ClientOptions::new(url, Vec::new()) }).unwrap();
    assert_eq!(client.get("/").send().await.unwrap().body, "ok");
    assert!(matches!(client.post("/").send().await, Err(ClientError::Broken(_))));
    assert_eq!(client.get("/").send().await.unwrap().body, "ok");
    assert_eq!(client.get("/").send().await.unwrap().body, "ok", "by GET it is sent again");
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}
