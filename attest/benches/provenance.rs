//! What one check of a C2PA manifest costs: a JPEG of 150 KB, ES256, one certificate below the anchor.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use std::hint::black_box;
use std::io::Cursor;

use attest::content::provenance::{Checker, MediaType, State};
use c2pa::create_signer::from_keys;
use c2pa::{Builder, Context, SigningAlg};
use criterion::{Criterion, criterion_group, criterion_main};
use image::{ExtendedColorType, ImageEncoder as _};
use policies::{Anchor, ProvenanceRule};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

/// Bytes of the signed picture, about.
const BYTES: usize = 150_000;

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Pictures Ltd");
    params
}

/// The root's certificate and a signed picture.
fn signed() -> (String, Vec<u8>) {
    let (root_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let (mut root, mut leaf) = (named("A root"), named("A photographer"));
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    leaf.use_authority_key_identifier_extension = true;
    let root_pem = root.self_signed(&root_key).expect("a root").pem();
    let chain = leaf.signed_by(&key, &Issuer::new(root, root_key)).expect("a certificate").pem();
    let signer = from_keys(chain.as_bytes(), key.serialize_pem().as_bytes(), SigningAlg::Es256, None);
    let source = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture";
    let action = json!({"action": "c2pa.created", "digitalSourceType": source});
    let definition = json!({"title": "A picture", "claim_generator_info": [{"name": "bench"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}]});
    let builder = Builder::from_context(Context::new()).with_definition(definition.to_string().as_str());
    let mut signed = Cursor::new(Vec::new());
    let mut builder = builder.expect("a definition");
    let signer = signer.expect("a signer");
    builder.sign(signer.as_ref(), "image/jpeg", &mut Cursor::new(picture()), &mut signed).expect("it signs");
    (root_pem, signed.into_inner())
}

/// Noise, whose size is that of its pixels.
fn picture() -> Vec<u8> {
    const SIDE: u32 = 376;
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let pixels: Vec<u8> = (0..SIDE * SIDE * 3).map(|_| next()).collect();
    let mut out = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 55);
    encoder.write_image(&pixels, SIDE, SIDE, ExtendedColorType::Rgb8).expect("a picture");
    out
}

fn provenance(criterion: &mut Criterion) {
    const NOW_MS: u64 = 1_800_000_000_000;
    let (root, clip) = signed();
    assert!((BYTES * 8 / 10..BYTES * 12 / 10).contains(&clip.len()), "{} bytes", clip.len());
    let anchors = vec![Anchor { path: "anchors/root.pem".to_owned(), pem: root.into_bytes() }];
    let rule = ProvenanceRule { anchors, required_assertions: [].into(), answer_seconds: 60 };
    let checker = Checker::new(&rule).expect("an anchor");
    let state = checker.check(MediaType::Jpeg, &clip, NOW_MS).map(|told| told.state);
    assert_eq!(state, Ok(State::Trusted));
    criterion.bench_function("c2pa_check_jpeg_150k", |bencher| {
        bencher.iter(|| checker.check(MediaType::Jpeg, black_box(&clip), NOW_MS));
    });
}

criterion_group!(benches, provenance);
criterion_main!(benches);
