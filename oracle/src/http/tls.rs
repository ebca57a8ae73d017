//! TLS 1.3 (RFC 8446) by rustls over ring, for both ends: who we are, and whom we believe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use policies::Digest;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

/// The one application protocol that is offered (RFC 7301).
pub(crate) const ALPN: &[u8] = b"http/1.1";

/// SHA-256 of the certificate (DER) with which a client authenticated, in the request's extensions.
/// It was verified against the listener's client CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerCertificate(pub Digest);

/// A certificate chain, leaf first, and its private key.
///
/// Has no `Debug`: it holds a secret.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file can't be read, or holds nothing of the kind that it should.
    #[error("cannot read {what} from {}", path.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it was not found.
        source: rustls_pki_types::pem::Error,
    },
    /// PEM text holds nothing of the kind that it should.
    #[error("cannot read {what} from PEM text")]
    Text {
        /// What was looked for.
        what: &'static str,
        /// Why it was not found.
        source: rustls_pki_types::pem::Error,
    },
    /// A certificate and key, or a CA, that TLS can't use.
    #[error("the certificate or its key cannot be used")]
    Unusable(#[from] rustls::Error),
    /// The client CA can't be used to verify.
    #[error("the client CA cannot be used")]
    ClientCa(#[from] rustls::server::VerifierBuilderError),
}

impl Identity {
    /// From a chain (leaf first) and its key.
    #[must_use]
    pub const fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key }
    }

    /// From two PEM files: certificates, leaf first, and a private key (PKCS#8, SEC 1 or PKCS#1).
    ///
    /// # Errors
    /// A file that can't be read or holds no such thing.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let file = |what, path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::File { what, path, source }
        };
        let chain = certificates_from_pem_file(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(file("a private key", key))?;
        Ok(Self { chain, key })
    }

    /// SHA-256 of the leaf: what the other side sees as [`PeerCertificate`].
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::of(self.chain.first().map_or(&[], |leaf| leaf.as_ref()))
    }

    /// SHA-256 of the leaf's subject public key info: what the other side sees of the key that is served with.
    ///
    /// # Errors
    /// A leaf that can't be read.
    pub fn spki(&self) -> Result<Digest, TlsError> {
        let bad = rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
        self.chain.first().and_then(spki).ok_or(TlsError::Unusable(bad))
    }

    pub(crate) fn into_parts(self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain, self.key)
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// The certificates of a PEM text, at least one.
///
/// # Errors
/// No certificate, or a broken one.
pub fn certificates_from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Text { what: "a certificate", source };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(failed)?;
    if certificates.is_empty() { Err(failed(rustls_pki_types::pem::Error::NoItemsFound)) } else { Ok(certificates) }
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// A file that can't be read, no certificate, or a broken one.
pub fn certificates_from_pem_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { what: "a certificate", path: path.to_owned(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<_, _>>).map_err(failed)?;
    if certificates.is_empty() { Err(failed(rustls_pki_types::pem::Error::NoItemsFound)) } else { Ok(certificates) }
}

/// SHA-256 of a certificate's subject public key info (RFC 5280 §4.1), in DER. Nothing where it can't be read.
pub(crate) fn spki(certificate: &CertificateDer<'_>) -> Option<Digest> {
    let parsed = Certificate::from_der(certificate).ok()?;
    Some(Digest::of(&parsed.tbs_certificate().subject_public_key_info().to_der().ok()?))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn roots(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    certificates.iter().try_for_each(|certificate| roots.add(certificate.clone()))?;
    Ok(roots)
}

/// The server's side of TLS.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

impl ServerTls {
    /// TLS 1.3 as `identity`. With a `client_ca` (one or more roots), a client may present a certificate, which must
    /// then be of that CA; without one, none is asked for.
    ///
    /// # Errors
    /// A key that does not belong to its certificate, or a CA that can't be used.
    pub fn new(identity: Identity, client_ca: Option<&[CertificateDer<'static>]>) -> Result<Self, TlsError> {
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(certificates) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots(certificates)?), provider)
                    .allow_unauthenticated()
                    .build()?,
            ),
        };
        let (chain, key) = identity.into_parts();
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) const fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

/// The certificate with which the other end of `connection` authenticated, if it did.
pub(super) fn peer_certificate(connection: &ServerConnection) -> Option<PeerCertificate> {
    let leaf = connection.peer_certificates()?.first()?;
    Some(PeerCertificate(Digest::of(leaf)))
}
