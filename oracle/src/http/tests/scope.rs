use super::*;
use crate::client::{Client, ClientError, ClientOptions};
use axum::extract::Extension;
use policies::Digest;

/// Tells the exporter's digest: the exporter itself is a secret.
fn telling() -> Router {
    let tell = async |scope: Option<Extension<ConnectionScope>>| match scope {
        Some(Extension(scope)) => Digest::of(scope.exporter()).to_string(),
        None => "no scope".to_owned(),
    };
    Router::new().route("/", get(tell)).route("/", post(tell))
}

async fn told(client: &Client) -> String {
    String::from_utf8(client.get("/").send().await.unwrap().body.to_vec()).unwrap()
}

#[tokio::test]
async fn both_ends_of_a_connection_have_one_exporter_and_no_other_has_it() {
    let ca = DevelopmentCa::generate().unwrap();
    let server = run(Some(server_tls(&ca, None)), patient(), telling()).await;
    let client = || {
        let url = format!("https://{}", server.address);
        Client::new(ClientOptions::new(url, vec![ca.certificate().clone()])).unwrap()
    };
    let (one, two) = (client(), client());
    let exporter = one.exporter().await.unwrap();
    assert_eq!(told(&one).await, Digest::of(exporter.as_slice()).to_string());
    assert_eq!(told(&one).await, Digest::of(one.exporter().await.unwrap().as_slice()).to_string(), "kept");
    assert_ne!(two.exporter().await.unwrap(), exporter);
    assert_eq!(server.metrics.open.get(), 2);
    // A call that is for the first connection is not sent on the second.
    let elsewhere = two.post("/").only_on(&exporter).send().await.map(|answer| answer.status);
    assert!(matches!(elsewhere, Err(ClientError::OtherConnection)), "{elsewhere:?}");
    let fresh = client().post("/").only_on(&exporter).send().await.map(|answer| answer.status);
    assert!(matches!(fresh, Err(ClientError::OtherConnection)), "{fresh:?}");
    let here = one.post("/").only_on(&exporter).send().await.unwrap();
    assert_eq!(here.body, Digest::of(exporter.as_slice()).to_string());
    assert_eq!(server.metrics.open.get(), 2, "no connection was made for what was not sent");
}

#[tokio::test]
async fn a_client_sees_the_key_that_its_peer_serves_with() {
    let ca = DevelopmentCa::generate().unwrap();
    let (one, two) = (ca.server(&["127.0.0.1"]).unwrap(), ca.server(&["127.0.0.1"]).unwrap());
    let (one_spki, two_spki) = (one.spki().unwrap(), two.spki().unwrap());
    assert_ne!(one_spki, two_spki);
    for (identity, expected) in [(one, one_spki), (two, two_spki)] {
        let server = run(Some(ServerTls::new(identity, None).unwrap()), patient(), telling()).await;
        let url = format!("https://{}", server.address);
        let client = Client::new(ClientOptions::new(url, vec![ca.certificate().clone()])).unwrap();
        assert_eq!(client.peer_spki().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn without_tls_there_is_no_exporter() {
    let server = run(None, patient(), telling()).await;
    let client = Client::new(ClientOptions::new(format!("http://{}", server.address), Vec::new())).unwrap();
    assert!(matches!(client.exporter().await, Err(ClientError::Unencrypted)));
    assert!(matches!(client.peer_spki().await, Err(ClientError::Unencrypted)));
    assert_eq!(told(&client).await, "no scope");
}

/// As the maker of the certificate writes the key.
#[test]
fn the_digest_is_over_the_der_of_the_key() {
    let key = rcgen::KeyPair::generate().unwrap();
    let der = rcgen::PublicKeyData::subject_public_key_info(&key);
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    assert_eq!(crate::http::tls::spki(certificate.der()), Some(Digest::of(&der)));
    assert_eq!(crate::http::tls::spki(&rustls_pki_types::CertificateDer::from(vec![0x30, 0])), None);
}
