//! Who signs clips in tests and in seeds of the fuzz targets, by `c2pa` itself. Nothing here is for production: keys are
//! made on the spot, or known to everybody.

use std::io::Cursor;

use c2pa::create_signer::from_keys;
use c2pa::{BoxedSigner, Builder, Context, Settings, SigningAlg};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use super::MediaType;

/// The source type of what a camera took.
pub const CAPTURE: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture";

/// A certificate authority.
fn root() -> CertificateParams {
    let mut root = named("A root of pictures", "Roots Ltd");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root
}

/// A certificate for signing claims.
#[must_use]
pub fn leaf(name: &str) -> CertificateParams {
    let mut leaf = named(name, "Pictures Ltd");
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    leaf.use_authority_key_identifier_extension = true;
    leaf
}

/// Good from 2020 to 2090.
fn named(name: &str, organisation: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
    params
}

/// Who signs clips: a key, and a chain of certificates that ends before the root.
pub struct Signatory {
    /// The root's certificate, for a policy to believe.
    pub root_pem: String,
    root_key_pem: String,
    /// Certificates, the signer's first.
    pub chain_pem: String,
    /// The signer's key.
    pub key_pem: String,
    algorithm: SigningAlg,
}

impl Signatory {
    /// A photographer with fresh keys on P-256.
    ///
    /// # Panics
    /// When the system gives no randomness.
    #[must_use]
    pub fn new() -> Self {
        Self::of(leaf("A photographer"))
    }

    /// The same with this certificate.
    ///
    /// # Panics
    /// When the system gives no randomness.
    #[must_use]
    pub fn of(leaf: CertificateParams) -> Self {
        let key = || KeyPair::generate().expect("randomness");
        Self::with_keys(&key(), &key(), leaf, SigningAlg::Es256)
    }

    /// Always the same: Ed25519 keys that anyone can compute, whose certificates have one encoding. The root is whom the
    /// fuzz targets believe.
    ///
    /// # Panics
    /// Never: any 32 bytes are a seed.
    #[must_use]
    pub fn fixed() -> Self {
        // PKCS#8 version 1 (RFC 5958) around a seed.
        let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let key = |seed: u8| {
            let der = PrivatePkcs8KeyDer::from([head.as_slice(), &[seed; 32]].concat());
            KeyPair::try_from(&der).expect("any 32 bytes are a seed")
        };
        Self::with_keys(&key(1), &key(2), leaf("A photographer"), SigningAlg::Ed25519)
    }

    fn with_keys(root_key: &KeyPair, key: &KeyPair, leaf: CertificateParams, algorithm: SigningAlg) -> Self {
        let root_pem = root().self_signed(root_key).expect("a key that signs").pem();
        let (root_key_pem, key_pem) = (root_key.serialize_pem(), key.serialize_pem());
        Self { root_pem, root_key_pem, chain_pem: String::new(), key_pem, algorithm }.with_leaf(leaf)
    }

    /// The same root and key with another certificate.
    ///
    /// # Panics
    /// Never: the keys were read before.
    #[must_use]
    pub fn with_leaf(&self, leaf: CertificateParams) -> Self {
        let issuer = Issuer::new(root(), read(&self.root_key_pem));
        let chain_pem = leaf.signed_by(&read(&self.key_pem), &issuer).expect("a key that signs").pem();
        Self { chain_pem, ..self.copy() }
    }

    /// The same, whose leaf is misused to issue another.
    ///
    /// # Panics
    /// When the system gives no randomness.
    #[must_use]
    pub fn posing_as_issuer(&self, name: &str) -> Self {
        let issuer = Issuer::new(leaf("A photographer"), read(&self.key_pem));
        let key = KeyPair::generate().expect("randomness");
        let forged = leaf(name).signed_by(&key, &issuer).expect("a key that signs").pem();
        let chain_pem = format!("{forged}{}", self.chain_pem);
        Self { chain_pem, key_pem: key.serialize_pem(), algorithm: SigningAlg::Es256, ..self.copy() }
    }

    fn copy(&self) -> Self {
        let (root_pem, root_key_pem) = (self.root_pem.clone(), self.root_key_pem.clone());
        let (chain_pem, key_pem) = (self.chain_pem.clone(), self.key_pem.clone());
        Self { root_pem, root_key_pem, chain_pem, key_pem, algorithm: self.algorithm }
    }

    /// The key with its chain, as `c2pa` takes it.
    ///
    /// # Panics
    /// When `c2pa` does not take the certificates.
    #[must_use]
    pub fn signer(&self) -> BoxedSigner {
        from_keys(self.chain_pem.as_bytes(), self.key_pem.as_bytes(), self.algorithm, None).expect("keys and chain")
    }

    /// The clip with a manifest of that definition.
    ///
    /// # Panics
    /// When `c2pa` does not sign.
    #[must_use]
    pub fn sign(&self, media_type: MediaType, clip: &[u8], definition: &Value) -> Vec<u8> {
        self.save(media_type, clip, builder(definition)).0
    }

    /// The signed clip and its manifest store.
    ///
    /// # Panics
    /// When `c2pa` does not sign.
    #[must_use]
    pub fn save(&self, media_type: MediaType, clip: &[u8], mut builder: Builder) -> (Vec<u8>, Vec<u8>) {
        let mut signed = Cursor::new(Vec::new());
        let signer = self.signer();
        let store =
            builder.sign(signer.as_ref(), media_type.as_str(), &mut Cursor::new(clip), &mut signed).expect("it signs");
        (signed.into_inner(), store)
    }
}

impl Default for Signatory {
    fn default() -> Self {
        Self::new()
    }
}

fn read(key_pem: &str) -> KeyPair {
    KeyPair::from_pem(key_pem).expect("it was written by a key")
}

/// What makes manifests of that definition.
///
/// # Panics
/// When it is no definition.
#[must_use]
pub fn builder(definition: &Value) -> Builder {
    let mut settings = Settings::new();
    settings.verify.verify_after_sign = false;
    let context = Context::new().with_settings(settings).expect("settings");
    Builder::from_context(context).with_definition(definition.to_string().as_str()).expect("a definition")
}

/// A manifest with these assertions.
#[must_use]
pub fn definition(assertions: &Value) -> Value {
    json!({
        "claim_generator_info": [{"name": "siwa-tests", "version": "1.2"}],
        "title": "A picture",
        "assertions": assertions,
    })
}

/// One action: made from a source of that type.
#[must_use]
pub fn actions(source_type: &str) -> Value {
    json!([{"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": source_type}]}}])
}

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).expect("a short box");
    [&length.to_be_bytes(), kind.as_slice(), content].concat()
}

/// A film without tracks, of so many fragments, or none.
///
/// # Panics
/// Never: its boxes are short.
#[must_use]
pub fn mp4(fragments: u8) -> Vec<u8> {
    let ftyp = boxed(b"ftyp", b"isom\0\0\x02\0isomiso6mp41");
    let mut mvhd = [0; 100];
    mvhd[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    let moov = boxed(b"moov", &boxed(b"mvhd", &mvhd));
    let fragment = |number: u8| {
        let mfhd = boxed(b"mfhd", &[0, 0, 0, 0, 0, 0, 0, number]);
        [boxed(b"moof", &mfhd), boxed(b"mdat", &[number; 200])].concat()
    };
    let media = if fragments == 0 { boxed(b"mdat", &[7; 500]) } else { (1..=fragments).flat_map(fragment).collect() };
    [ftyp, moov, media].concat()
}
