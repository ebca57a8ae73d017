use super::*;
use crate::client::{Client, ClientError, ClientOptions};
use axum::extract::Extension;
use policies::Digest;

async fn encrypted(limits: Limits) -> Running {
    let ca = DevelopmentCa::generate().unwrap();
    run(Some(server_tls(&ca, None)), limits, router(&Gate::new())).await
}

async fn answer_to(server: &Running, bytes: &[u8]) -> Vec<u8> {
    let mut client = Raw::open(server.address).await;
    client.0.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(NEVER, client.0.read_to_end(&mut answer)).await.expect("the server closes");
    answer
}

/// A ClientHello of TLS 1.2 (RFC 5246 §7.4.1.2): one suite, `signature_algorithms`, `supported_groups`, and no
/// `supported_versions`.
fn hello_of_tls_1_2() -> Vec<u8> {
    let extensions = [0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0];
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    let mut hello = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    hello.extend(body);
    hello
}

#[tokio::test]
async fn tls_1_2_is_refused_with_protocol_version() {
    let server = encrypted(patient()).await;
    // A fatal alert (RFC 8446 §6): record 21, legacy version 3.3, two bytes: fatal, protocol_version.
    assert_eq!(answer_to(&server, &hello_of_tls_1_2()).await, [21, 3, 3, 0, 2, 2, 70]);
    assert_eq!(server.metrics.handshakes_failed.get(), 1);
}

#[tokio::test]
async fn garbage_and_plain_http_are_refused() {
    let server = encrypted(patient()).await;
    for garbage in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0xff; 64], &[22, 3, 1, 0, 4, 1, 0, 0, 0]] {
        let answer = answer_to(&server, garbage).await;
        assert!(answer.is_empty() || answer[0] == 21, "at most an alert: {answer:?}");
    }
    assert_eq!(server.metrics.handshakes_failed.get(), 3);
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_is_closed() {
    let server = encrypted(Limits { handshake_timeout: SOON, ..patient() }).await;
    for half in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        assert_eq!(answer_to(&server, half).await, b"");
    }
    assert_eq!(server.metrics.handshakes_failed.get(), 2);
}

fn who() -> Router {
    let name = async |peer: Option<Extension<PeerCertificate>>| match peer {
        Some(Extension(PeerCertificate(digest))) => digest.to_string(),
        None => "nobody".to_owned(),
    };
    Router::new().route("/", get(name))
}

#[tokio::test]
async fn a_client_certificate_is_verified_and_told_to_the_handler() {
    let (ca, client_ca) = (DevelopmentCa::generate().unwrap(), DevelopmentCa::generate().unwrap());
    let server = run(Some(server_tls(&ca, Some(&client_ca))), patient(), who()).await;
    let call = async |identity: Option<Identity>| {
        let url = format!("https://{}", server.address);
        let options = ClientOptions { identity, ..ClientOptions::new(url, vec![ca.certificate().clone()]) };
        Client::new(options)
            .unwrap()
            .get("/")
            .send()
            .await
            .map(|answer| String::from_utf8(answer.body.to_vec()).unwrap())
    };
    assert_eq!(call(None).await.unwrap(), "nobody");
    let platform = client_ca.client("platform").unwrap();
    let fingerprint: Digest = platform.fingerprint();
    assert_eq!(call(Some(platform)).await.unwrap(), fingerprint.to_string());
    let impostor = ca.client("platform").unwrap();
    // In TLS 1.3 the client learns of the refusal after its handshake, by an alert.
    assert!(matches!(call(Some(impostor)).await, Err(ClientError::Broken(_) | ClientError::Connect(_))));
    assert_eq!(server.metrics.handshakes_failed.get(), 1);
}

#[tokio::test]
async fn without_a_client_ca_no_certificate_is_asked_for() {
    let ca = DevelopmentCa::generate().unwrap();
    let server = run(Some(server_tls(&ca, None)), patient(), who()).await;
    let url = format!("https://{}", server.address);
    let identity = Some(ca.client("platform").unwrap());
    let options = ClientOptions { identity, ..ClientOptions::new(url, vec![ca.certificate().clone()]) };
    let answer = Client::new(options).unwrap().get("/").send().await.unwrap();
    assert_eq!(answer.body, "nobody");
}
