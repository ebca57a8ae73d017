//! Uploads over TLS, at the socket: how much of what nobody wants a client gets rid of.

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::http::DevelopmentCa;
use crate::http::tests::{NEVER, Running, patient, run, server_tls};
use crate::http::tls::{ALPN, provider, roots};

const LIMIT: usize = 50 * MB;
const FIVE_GIGABYTES: usize = 5 << 30;
/// What of a body may be under way when it is refused: what TLS and the sockets of both ends hold. Linux lets a receive
/// buffer grow to 6 MB.
const BUFFER: usize = 8 * MB;
/// Bytes of a send buffer here, so that it is not that which is counted.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;
/// Bytes of a body that are written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A node behind TLS whose budget is that of one upload.
struct Listening {
    service: Service,
    server: Running,
    connector: TlsConnector,
}

/// What a client saw that went on sending until it was cut off.
struct Seen {
    /// All that the node said.
    answer: String,
    /// Bytes of the body that were written.
    sent: usize,
}

impl Listening {
    async fn start(signatory: &Signatory) -> Self {
        let options = limits(LIMIT, LIMIT.next_multiple_of(1024));
        let service = Service::start(&signatory.root_pem, options).await;
        let ca = DevelopmentCa::generate().unwrap();
        let server = run(Some(server_tls(&ca, None)), patient(), router(Arc::clone(&service.node))).await;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots(&[ca.certificate().clone()]).unwrap())
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self { service, server, connector: TlsConnector::from(Arc::new(config)) }
    }

    async fn open(&self) -> TlsStream<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(SEND_BUFFER_BYTES).unwrap();
        let stream = socket.connect(self.server.address).await.unwrap();
        self.connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }

    /// Sends a head with these fields, and then up to `bytes` of a body in pieces, whatever is answered, until nobody takes
    /// them or there are none left.
    async fn send(&self, fields: &str, bytes: usize, piece: impl Fn(usize) -> Vec<u8>) -> Seen {
        let (mut read, mut write) = tokio::io::split(self.open().await);
        let key = self.service.keys[0].expose();
        let head = format!(
            "POST /v1/content/provenance HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: image/jpeg\r\n{fields}\r\n"
        );
        write.write_all(head.as_bytes()).await.unwrap();
        let reading = async {
            let mut answer = Vec::new();
            // A reset is a way to close as well.
            let _: Result<usize, io::Error> = read.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        };
        let writing = async {
            let mut sent = 0;
            while sent < bytes {
                let length = PIECE_BYTES.min(bytes - sent);
                if write.write_all(&piece(length)).await.is_err() || write.flush().await.is_err() {
                    break;
                }
                sent += length;
            }
            sent
        };
        let both = async { tokio::join!(reading, writing) };
        let (answer, sent) = tokio::time::timeout(NEVER, both).await.expect("the node closes");
        Seen { answer, sent }
    }

    /// Sends a whole body.
    async fn upload(&self, body: &[u8]) -> String {
        let fields = format!("Content-Length: {}\r\nConnection: close\r\n", body.len());
        let sent = std::cell::Cell::new(0);
        let piece = |length: usize| body[sent.replace(sent.get() + length)..][..length].to_vec();
        self.send(&fields, body.len(), piece).await.answer
    }
}

fn nothing(length: usize) -> Vec<u8> {
    vec![0; length]
}

/// RFC 9112 §7.1.
fn chunk(length: usize) -> Vec<u8> {
    [format!("{length:x}\r\n").as_bytes(), &nothing(length), b"\r\n"].concat()
}

fn expect_problem(answer: &str, status: &str, slug: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    assert!(answer.contains(&format!(r#""type":"urn:siwa:problem:{slug}""#)), "{answer}");
}

#[tokio::test]
async fn five_gigabytes_that_are_announced_are_refused_before_they_are_sent() {
    let node = Listening::start(&Signatory::new()).await;
    let announced = format!("Content-Length: {FIVE_GIGABYTES}\r\n");
    // One that waits is answered for its head, whether it asks (RFC 9110 §10.1.1) or not; it is not told to go on.
    for asking in ["", "Expect: 100-continue\r\n"] {
        let seen = node.send(&format!("{announced}{asking}"), 0, nothing).await;
        expect_problem(&seen.answer, "413", "body-too-large");
        assert!(seen.answer.contains("at most 50000000 bytes"), "{}", seen.answer);
        assert!(seen.answer.to_ascii_lowercase().contains("connection: close"), "{}", seen.answer);
    }
    // One that does not is cut off.
    let seen = node.send(&announced, FIVE_GIGABYTES, nothing).await;
    expect_problem(&seen.answer, "413", "body-too-large");
    assert!(seen.sent <= BUFFER, "{} bytes were sent", seen.sent);
}

#[tokio::test]
async fn five_gigabytes_of_untold_length_are_cut_off_behind_the_limit() {
    let signatory = Signatory::new();
    let node = Listening::start(&signatory).await;
    let seen = node.send("Transfer-Encoding: chunked\r\n", FIVE_GIGABYTES, chunk).await;
    expect_problem(&seen.answer, "413", "body-too-large");
    assert!((LIMIT..=LIMIT + BUFFER).contains(&seen.sent), "{} bytes were sent", seen.sent);
    // The budget is free again: for a small one, and to its last byte.
    let (clip, _) = signatory.sign();
    let answer = node.upload(&clip).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""state":"trusted""#), "{answer}");
    expect_problem(&node.upload(&nothing(LIMIT)).await, "422", "content-malformed");
}
