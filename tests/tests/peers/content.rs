//! Clips that others sign, and the node's word on them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

use super::node::{ContentPolicy, Installation, Node};
use super::script::Script;
use super::{problem, with};

/// Certificates of whoever signs content (C2PA §14.5), and the key.
struct Signatory {
    root_pem: String,
    chain_pem: String,
    key_pem: String,
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Pictures Ltd");
    params
}

impl Signatory {
    fn new() -> Self {
        let (root_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let (mut root, mut leaf) = (named("A root of pictures"), named("A photographer"));
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::EmailProtection,
            // Document signing (RFC 9336).
            ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 36]),
        ];
        leaf.use_authority_key_identifier_extension = true;
        let root_pem = root.self_signed(&root_key).expect("a root").pem();
        let chain_pem = leaf.signed_by(&key, &Issuer::new(root, root_key)).expect("a certificate").pem();
        Self { root_pem, chain_pem, key_pem: key.serialize_pem() }
    }
}

/// The parts of a JPEG, around something that is no picture.
fn jpeg() -> Vec<u8> {
    let jfif = b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
    [b"\xff\xd8".as_slice(), jfif, b"\xff\xda\0\x08\x01\x01\0\0\x3f\0", &[7; 2000], b"\xff\xd9"].concat()
}

/// A picture of one grey point.
fn png() -> Vec<u8> {
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU";
    let data = b"\0\0\0\x0aIDATx\xdach\0\0\0\x82\0\x81\xdaE\x08;";
    [head.as_slice(), data, b"\0\0\0\0IEND\xaeB`\x82"].concat()
}

/// A film without tracks.
fn mp4() -> Vec<u8> {
    let part = |kind: &[u8; 4], content: &[u8]| {
        let length = u32::try_from(content.len() + 8).expect("it is short");
        [&length.to_be_bytes(), kind.as_slice(), content].concat()
    };
    let mut head = [0; 100];
    head[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    let ftyp = part(b"ftyp", b"isom\0\0\x02\0isomiso6mp41");
    [ftyp, part(b"moov", &part(b"mvhd", &head)), part(b"mdat", &[7; 500])].concat()
}

fn settings(node: &Node<'_>, signatory: &Signatory) -> Value {
    let clip = |bytes: Vec<u8>| STANDARD.encode(bytes);
    with(
        node.settings(),
        json!({
            "chain": signatory.chain_pem, "key": signatory.key_pem,
            "clips": {"image/jpeg": clip(jpeg()), "image/png": clip(png()), "video/mp4": clip(mp4())},
            // Where a byte of the media itself is, from the end.
            "mediaAt": {"image/jpeg": -100, "image/png": -20, "video/mp4": -100},
        }),
    )
}

/// What was signed, after the node's signature over it was verified.
fn answered(node: &Node<'_>, told: &Value) -> Value {
    assert_eq!(told["status"], 200, "{told}");
    let answer = node.answer(&told["answer"]);
    let said = (answer.check.as_str(), answer.nonce.as_str(), &answer.result);
    assert_eq!(said, ("provenance", "nonce-1", &told["provenance"]));
    answer.result
}

fn codes(provenance: &Value) -> Vec<&str> {
    let failures = provenance["failures"].as_array().expect("a list");
    failures.iter().map(|failure| failure["code"].as_str().expect("a code")).collect()
}

#[tokio::test]
async fn content_by_c2pa_python() {
    let (installation, signatory) = (Installation::new(), Signatory::new());
    let node = installation.start_with(&ContentPolicy { anchor_pem: &signatory.root_pem, required: &["c2pa.actions"] });
    let settings = settings(&node, &signatory);
    let Some(script) = Script::start("c2pa_sign.py", &installation, &settings) else { return };
    let result = script.result();
    for (media_type, mismatch) in [
        ("image/jpeg", "assertion.dataHash.mismatch"),
        ("image/png", "assertion.dataHash.mismatch"),
        ("video/mp4", "assertion.bmffHash.mismatch"),
    ] {
        let told = &result[media_type];
        let good = answered(&node, &told["good"]);
        assert_eq!((&good["state"], &good["digest"]), (&json!("trusted"), &told["digest"]), "{media_type}: {good}");
        let expected = json!({"common_name": "A photographer", "organisation": "Pictures Ltd",
            "issuer": "A root of pictures", "algorithm": "es256", "trusted": true});
        assert_eq!((&good["signer"], &good["title"]), (&expected, &json!("A clip by another")), "{media_type}");
        assert_eq!((&good["ai"]["made"], codes(&good)), (&json!("generated"), vec![]), "{media_type}");
        let captured = answered(&node, &told["captured"]);
        let said = (&captured["state"], &captured["ai"]["made"], &captured["edits"][0]["source_type"]);
        assert_eq!(said, (&json!("trusted"), &json!("not-stated"), &json!("digitalCapture")), "{media_type}");
        for (part, code) in
            [("assertion", "assertion.hashedURI.mismatch"), ("claim", "claimSignature.mismatch"), ("media", mismatch)]
        {
            let altered = answered(&node, &told["altered"][part]);
            assert_eq!(altered["state"], "invalid", "{media_type} {part}: {altered}");
            assert!(codes(&altered).contains(&code), "{media_type} {part}: {altered}");
        }
        let alone = answered(&node, &told["alone"]);
        let said = (&alone["state"], &alone["asset"], &alone["digest"]);
        assert_eq!(said, (&json!("unbound"), &json!("not-checked"), &told["digest"]), "{media_type}");
    }
}

/// The same clips where the policy believes another, and asks for what they lack.
#[tokio::test]
async fn content_by_c2pa_python_under_another_policy() {
    let (installation, signatory) = (Installation::new(), Signatory::new());
    let other = Signatory::new();
    let node = installation.start_with(&ContentPolicy { anchor_pem: &other.root_pem, required: &["cawg.metadata"] });
    let settings = settings(&node, &signatory);
    let Some(script) = Script::start("c2pa_sign.py", &installation, &settings) else { return };
    let result = script.result();
    for media_type in ["image/jpeg", "image/png", "video/mp4"] {
        let good = answered(&node, &result[media_type]["good"]);
        let said = (&good["state"], &good["signer"]["trusted"], &good["missing_assertions"], codes(&good));
        let untrusted = vec!["signingCredential.untrusted"];
        assert_eq!(said, (&json!("valid"), &json!(false), &json!(["cawg.metadata"]), untrusted), "{media_type}");
    }
    assert_ne!(problem("content-off"), result["image/jpeg"]["good"]["type"]);
}
