//! A certificate authority for demonstrations and tests, made on the spot and gone with the process.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::tls::Identity;

/// A root that lives in memory. Its key is never written and has no `Debug`.
pub struct DevelopmentCa {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the development CA could not make a certificate")]
pub struct DevelopmentCaError(#[from] rcgen::Error);

impl DevelopmentCa {
    /// A new root with a fresh P-256 key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, DevelopmentCaError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Siwa development CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// The root certificate, for clients to pin.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The root certificate as PEM, for tools such as curl.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// A server's identity for host names and IP addresses.
    ///
    /// # Errors
    /// A name that a certificate can't hold.
    pub fn server(&self, names: &[&str]) -> Result<Identity, DevelopmentCaError> {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's identity.
    ///
    /// # Errors
    /// A name that a certificate can't hold.
    pub fn client(&self, name: &str) -> Result<Identity, DevelopmentCaError> {
        self.issue(&[name], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Result<Identity, DevelopmentCaError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("siwa"));
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Identity::new(vec![certificate.der().clone()], key))
    }
}
