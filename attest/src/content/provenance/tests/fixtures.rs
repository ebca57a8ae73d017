//! Clips and who signs them, made by `c2pa` itself.

use std::io::Cursor;

use c2pa::create_signer::from_keys;
use c2pa::{BoxedSigner, Builder, Context, Settings, SigningAlg};
use image::{ExtendedColorType, ImageEncoder as _};
use policies::{Anchor, ProvenanceRule};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use serde_json::{Value, json};

use super::super::MediaType;

/// 2027-01-15. Certificates are good from 2020 to 2090.
pub(super) const NOW_MS: u64 = 1_800_000_000_000;
pub(super) const CAPTURE: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture";

pub(super) fn rule(anchors: &[&str]) -> ProvenanceRule {
    let anchor = |pem: &&str| Anchor { path: "anchors/pictures.pem".to_owned(), pem: pem.as_bytes().to_vec() };
    ProvenanceRule {
        anchors: anchors.iter().map(anchor).collect(),
        required_assertions: [].into(),
        answer_seconds: 300,
    }
}

pub(super) fn root() -> CertificateParams {
    let mut root = named("A root of pictures", "Roots Ltd");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root
}

pub(super) fn leaf(name: &str) -> CertificateParams {
    let mut leaf = named(name, "Pictures Ltd");
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    leaf.use_authority_key_identifier_extension = true;
    leaf
}

fn named(name: &str, organisation: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
    params
}

/// Who signs clips: a key, and a chain of certificates that ends before the root.
pub(super) struct Signatory {
    pub(super) root_pem: String,
    root_key_pem: String,
    pub(super) chain_pem: String,
    pub(super) key_pem: String,
}

impl Signatory {
    pub(super) fn new() -> Self {
        Self::of(leaf("A photographer"))
    }

    pub(super) fn of(leaf: CertificateParams) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root_pem = root().self_signed(&root_key).unwrap().pem();
        let (root_key_pem, key_pem) = (root_key.serialize_pem(), KeyPair::generate().unwrap().serialize_pem());
        Self { root_pem, root_key_pem, chain_pem: String::new(), key_pem }.with_leaf(leaf)
    }

    /// The same root and key with another certificate.
    pub(super) fn with_leaf(&self, leaf: CertificateParams) -> Self {
        let issuer = Issuer::new(root(), KeyPair::from_pem(&self.root_key_pem).unwrap());
        let chain_pem = leaf.signed_by(&KeyPair::from_pem(&self.key_pem).unwrap(), &issuer).unwrap().pem();
        let (root_pem, root_key_pem) = (self.root_pem.clone(), self.root_key_pem.clone());
        Self { root_pem, root_key_pem, chain_pem, key_pem: self.key_pem.clone() }
    }

    /// The same, whose leaf is misused to issue another.
    pub(super) fn posing_as_issuer(&self, name: &str) -> Self {
        let issuer = Issuer::new(leaf("A photographer"), KeyPair::from_pem(&self.key_pem).unwrap());
        let key = KeyPair::generate().unwrap();
        let forged = leaf(name).signed_by(&key, &issuer).unwrap().pem();
        let chain_pem = format!("{forged}{}", self.chain_pem);
        let (root_pem, root_key_pem) = (self.root_pem.clone(), self.root_key_pem.clone());
        Self { root_pem, root_key_pem, chain_pem, key_pem: key.serialize_pem() }
    }

    pub(super) fn signer(&self) -> BoxedSigner {
        from_keys(self.chain_pem.as_bytes(), self.key_pem.as_bytes(), SigningAlg::Es256, None).unwrap()
    }

    pub(super) fn sign(&self, media_type: MediaType, clip: &[u8], definition: &Value) -> Vec<u8> {
        self.save(media_type, clip, builder(definition)).0
    }

    /// The signed clip and its manifest store.
    pub(super) fn save(&self, media_type: MediaType, clip: &[u8], mut builder: Builder) -> (Vec<u8>, Vec<u8>) {
        let mut signed = Cursor::new(Vec::new());
        let signer = self.signer();
        let store =
            builder.sign(signer.as_ref(), media_type.as_str(), &mut Cursor::new(clip), &mut signed).expect("it signs");
        (signed.into_inner(), store)
    }
}

pub(super) fn builder(definition: &Value) -> Builder {
    let mut settings = Settings::new();
    settings.verify.verify_after_sign = false;
    let context = Context::new().with_settings(settings).unwrap();
    Builder::from_context(context).with_definition(definition.to_string().as_str()).unwrap()
}

pub(super) fn definition(assertions: &Value) -> Value {
    json!({
        "claim_generator_info": [{"name": "siwa-tests", "version": "1.2"}],
        "title": "A picture",
        "assertions": assertions,
    })
}

/// One action: made from a source of that type.
pub(super) fn actions(source_type: &str) -> Value {
    json!([{"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": source_type}]}}])
}

/// A picture of 64 by 64 that does not compress to nothing.
fn pixels() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..64 * 64 * 3).map(|_| next()).collect()
}

pub(super) fn jpeg() -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 60);
    encoder.write_image(&pixels(), 64, 64, ExtendedColorType::Rgb8).unwrap();
    out
}

fn bmff(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap();
    [&length.to_be_bytes(), kind.as_slice(), content].concat()
}

/// A film without tracks.
pub(super) fn mp4(fragments: u8) -> Vec<u8> {
    let ftyp = bmff(b"ftyp", b"isom\0\0\x02\0isomiso6mp41");
    let mut mvhd = [0; 100];
    mvhd[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    let moov = bmff(b"moov", &bmff(b"mvhd", &mvhd));
    let fragment = |number: u8| {
        let mfhd = bmff(b"mfhd", &[0, 0, 0, 0, 0, 0, 0, number]);
        [bmff(b"moof", &mfhd), bmff(b"mdat", &[number; 200])].concat()
    };
    let media = if fragments == 0 { bmff(b"mdat", &[7; 500]) } else { (1..=fragments).flat_map(fragment).collect() };
    [ftyp, moov, media].concat()
}

/// One clip of each media type.
pub(super) fn clips() -> [(MediaType, Vec<u8>); 4] {
    let (mut png, mut webp) = (Vec::new(), Vec::new());
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    encoder.write_image(&pixels(), 64, 64, ExtendedColorType::Rgb8).unwrap();
    let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
    encoder.write_image(&pixels(), 64, 64, ExtendedColorType::Rgb8).unwrap();
    [(MediaType::Jpeg, jpeg()), (MediaType::Png, png), (MediaType::WebP, webp), (MediaType::Mp4, mp4(0))]
}
