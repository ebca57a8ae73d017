//! Opens connections to one peer.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::ClientError;
use super::connection::{Channel, Connection};
use crate::http::tls::{ALPN, provider, roots, spki};
use crate::http::{Identity, exporter};

/// Bytes of an answer's head, and of the read buffer.
const HEAD_BYTES_MAX: usize = 256 * 1024;
const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

pub(super) struct Connector {
    host: String,
    port: u16,
    authority: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    pub(super) fn new(
        url: &Uri,
        certificates: &[CertificateDer<'static>],
        identity: Option<Identity>,
    ) -> Result<Self, ClientError> {
        let authority = url.authority().ok_or(ClientError::Url)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || authority.as_str().contains('@') {
            return Err(ClientError::Url);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (tls, port) = match url.scheme_str() {
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| ClientError::Url)?;
                (Some((tls_connector(certificates, identity)?, name)), HTTPS_PORT)
            }
            Some("http") if host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) => (None, HTTP_PORT),
            _ => return Err(ClientError::Url),
        };
        let port = authority.port_u16().unwrap_or(port);
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| ClientError::Url)?;
        Ok(Self { host, port, authority, tls })
    }

    /// The `Host` field of every request (RFC 9112 §3.2).
    pub(super) fn authority(&self) -> HeaderValue {
        self.authority.clone()
    }

    pub(super) async fn connect(&self) -> Result<Connection, ClientError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(ClientError::Connect)?;
        stream.set_nodelay(true).map_err(ClientError::Connect)?;
        match &self.tls {
            None => handshake(stream, None).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(ClientError::Connect)?;
                let session = stream.get_ref().1;
                let peer_spki = session.peer_certificates().and_then(|chain| spki(chain.first()?));
                let channel = Channel { exporter: exporter(session)?, peer_spki };
                handshake(stream, Some(channel)).await
            }
        }
    }
}

fn tls_connector(
    certificates: &[CertificateDer<'static>],
    identity: Option<Identity>,
) -> Result<TlsConnector, ClientError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(certificates)?);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.into_parts();
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn handshake<S>(stream: S, channel: Option<Channel>) -> Result<Connection, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, driver) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| ClientError::Connect(io::Error::other(error)))?;
    Ok(Connection::new(sender, Box::pin(driver), channel))
}
