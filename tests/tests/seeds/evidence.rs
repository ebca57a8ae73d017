//! Seeds of evidence: of nodes what real machines and an emulator made, of devices what these tests make.

use attest::content::live::fixtures::{Authority, Cbor, Usage};
use attest::device::DeviceEvidence;
use attest::device::android::AndroidEvidence;
use attest::device::android::key_description::KeyDescription;
use attest::device::app_attest::AppAttestEvidence;
use attest::device::web_authn::WebAuthnEvidence;
use attest::enrolment::EnrolmentRequest;
use attest::evidence::nitro::NitroEvidence;
use attest::evidence::sev_snp::SevSnpEvidence;
use attest::evidence::{software, tpm};
use attest::{Attestation, Evidence, jws};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use policies::Digest;
use rcgen::{CertificateParams, CustomExtension, KeyPair, SigningKey as _};
use serde_json::json;

use super::{All, Seeds};

/// A file beside the parser that reads it.
macro_rules! sample {
    ($path:literal) => {
        include_bytes!(concat!("../../../attest/src/", $path)).as_slice()
    };
}

const SNP_REPORT: &[u8] = sample!("evidence/samples/snp_report_milan.bin");
const SNP_VCEK: &[u8] = sample!("evidence/samples/snp_vcek_milan.der");
const SNP_ASK: &[u8] = sample!("evidence/samples/snp_ask_milan.der");
const NITRO_DOCUMENT: &[u8] = sample!("evidence/samples/nitro_document.cose");
const EK_CERTIFICATE: &[u8] = sample!("evidence/tpm/fixtures/ek_rsa.der");

pub(super) fn seeds(seeds: &mut All) {
    machines(seeds);
    tpms(seeds);
    seeds.insert("attestation", attestations());
    seeds.insert("certificate_chain", vec![("three", certificate_chain())]);
    devices(seeds);
}

/// A TPM's attestation, as it was recorded.
fn recorded() -> (Attestation, tpm::TpmEvidence) {
    let attestation: Attestation = serde_json::from_slice(sample!("evidence/tpm/fixtures/attestation.json")).unwrap();
    let Evidence::Tpm(evidence) = attestation.evidence.clone() else { panic!("another kind") };
    (attestation, evidence)
}

fn machines(seeds: &mut All) {
    let turin = sample!("evidence/samples/snp_vcek_turin.der").to_vec();
    let with_root = [SNP_REPORT, sample!("evidence/samples/snp_ark_milan.der")].concat();
    let with_vcek = [SNP_REPORT, SNP_VCEK].concat();
    seeds.insert("sev_snp", vec![("milan", with_vcek), ("milan-root", with_root), ("turin-chip", turin)]);
    // What is signed stands behind the head of the array, the protected header, an empty map and the text's own length.
    let (head, payload) = NITRO_DOCUMENT.split_at(10);
    let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
    let payload = payload[..length].to_vec();
    assert!(payload.windows(9).any(|found| found == b"module_id"), "it is the payload");
    seeds.insert("nitro_document", vec![("signed", NITRO_DOCUMENT.to_vec()), ("payload", payload.clone())]);
    let values = Cbor::map([
        ("a", Cbor::Array(vec![Cbor::Integer(-1), Cbor::Null, Cbor::Tagged(0, Box::new(Cbor::text("x")))])),
        ("b", Cbor::bytes(&[0; 300])),
    ]);
    seeds.insert("cbor", vec![("document", payload), ("values", values.encode())]);
    let with_collateral = |quote: &[u8], collateral: &[u8]| {
        let length = u16::try_from(quote.len()).unwrap().to_le_bytes();
        [&length, quote, collateral].concat()
    };
    let domain = with_collateral(
        sample!("evidence/samples/tdx_quote.bin"),
        sample!("evidence/samples/tdx_quote_collateral.json"),
    );
    let enclave = with_collateral(
        sample!("evidence/samples/sgx_quote.bin"),
        sample!("evidence/samples/sgx_quote_collateral.json"),
    );
    seeds.insert("dcap_quote", vec![("tdx", domain), ("sgx", enclave)]);
}

fn tpms(seeds: &mut All) {
    let (_, evidence) = recorded();
    let quotes = vec![
        ("evidence", serde_json::to_vec(&evidence).unwrap()),
        ("quote", evidence.attest.to_vec()),
        ("key-ecc", evidence.ak_public.to_vec()),
        ("key-rsa", sample!("evidence/tpm/fixtures/rsapss.public").to_vec()),
        ("signature", sample!("evidence/tpm/fixtures/rsapss.sig").to_vec()),
    ];
    seeds.insert("tpm_quote", quotes);
    let ima = sample!("evidence/tpm/fixtures/ima.log");
    let register = evidence.pcrs.iter().find(|register| register.number == 10).unwrap();
    assert_eq!(tpm::ima_log_until(ima, register.value), Ok(ima), "the log leads to the register's value");
    let with_value = [register.value.as_bytes().as_slice(), ima].concat();
    let boot = sample!("evidence/tpm/fixtures/boot.log").to_vec();
    seeds.insert("tpm_logs", vec![("boot", boot), ("ima", with_value)]);
    let request = EnrolmentRequest {
        ek_certificates: vec![EK_CERTIFICATE.to_vec().into()],
        ek_public: sample!("evidence/tpm/fixtures/ek_rsa.public").to_vec().into(),
        ak_public: evidence.ak_public,
    };
    let request = serde_json::to_vec(&request).unwrap();
    seeds.insert("enrolment_request", vec![("request", request), ("certificate", EK_CERTIFICATE.to_vec())]);
}

fn attestations() -> Seeds {
    let (Attestation { binding, .. }, evidence) = recorded();
    let statement = software::state(Digest::of(b"bound"), &binding.version, &jws::fuzz::fixed_key(), 1_800_000_000_000);
    let report = SevSnpEvidence {
        report: SNP_REPORT.to_vec().into(),
        vcek: SNP_VCEK.to_vec().into(),
        ask: SNP_ASK.to_vec().into(),
    };
    let kinds = [
        ("software", Evidence::Software(statement.unwrap())),
        ("sev-snp", Evidence::SevSnp(report)),
        ("nitro", Evidence::Nitro(NitroEvidence { document: NITRO_DOCUMENT.to_vec().into() })),
        ("tpm", Evidence::Tpm(evidence)),
    ];
    let of = |(name, evidence)| {
        let attestation = Attestation { binding: binding.clone(), evidence };
        (name, serde_json::to_vec(&attestation).unwrap())
    };
    kinds.map(of).to_vec()
}

/// From a server's certificate to a root, each with its length before it.
fn certificate_chain() -> Vec<u8> {
    let authority = Authority::new("Fuzz");
    let mut chain = authority.signer_for("fuzz.example", Usage::ServerAuth, 2099).chain;
    let pem = authority.root_pem();
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    chain.push(STANDARD.decode(text).unwrap());
    let with_length = |certificate: Vec<u8>| {
        let length = u16::try_from(certificate.len()).unwrap().to_be_bytes();
        [&length, certificate.as_slice()].concat()
    };
    chain.into_iter().flat_map(with_length).collect()
}

fn devices(seeds: &mut All) {
    let description = key_description();
    assert!(KeyDescription::read(&description).is_ok(), "a seed is read");
    let leaf = described_certificate(description.clone());
    let sample: String =
        include_str!("../../../attest/src/device/app_attest/apple_sample.b64").split_ascii_whitespace().collect();
    let object = STANDARD.decode(sample).unwrap();
    let (client_data, none, packed) = registrations();
    let web = |object: &[u8]| [client_data.as_slice(), &[0], object].concat();
    let evidence = [
        ("android", DeviceEvidence::Android(AndroidEvidence { chain: vec![leaf.clone().into()] })),
        ("app-attest", {
            let attestation = object.clone().into();
            DeviceEvidence::AppAttest(AppAttestEvidence { key_id: vec![7; 32].into(), attestation })
        }),
        ("web-authn", {
            let attestation_object = none.clone().into();
            DeviceEvidence::WebAuthn(WebAuthnEvidence { attestation_object, client_data: client_data.clone().into() })
        }),
    ];
    let evidence = evidence.map(|(name, evidence)| (name, serde_json::to_vec(&evidence).unwrap()));
    seeds.insert("device_evidence", evidence.to_vec());
    seeds.insert("android_key_description", vec![("description", description), ("certificate", leaf)]);
    let data = authenticator_data(&[4; 65]);
    seeds.insert("app_attest", vec![("object", object), ("authenticator-data", data)]);
    seeds.insert("web_authn", vec![("none", web(&none)), ("packed-self", web(&packed))]);
}

/// A value in DER, of less than 64 KiB.
fn der(tag: &[u8], content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = match (high, low) {
        (0, 0..=127) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [tag, &length, content].concat()
}

/// What a locked telephone's secure environment says of a key of an app's.
fn key_description() -> Vec<u8> {
    let sequence = |fields: &[Vec<u8>]| der(&[0x30], &fields.concat());
    let set = |fields: &[Vec<u8>]| der(&[0x31], &fields.concat());
    let (integer, octets) = (|bytes: &[u8]| der(&[2], bytes), |bytes: &[u8]| der(&[4], bytes));
    // A tag of more than 30 in bytes of seven bits.
    let field = |number: u16, inner: &[u8]| match number {
        0..=30 => der(&[0xa0 | u8::try_from(number).unwrap()], inner),
        _ => der(&[0xbf, 0x80 | u8::try_from(number >> 7).unwrap(), u8::try_from(number & 0x7f).unwrap()], inner),
    };
    let app = sequence(&[set(&[sequence(&[octets(b"example"), integer(&[1])])]), set(&[octets(&[0x51; 32])])]);
    let software = sequence(&[field(709, &octets(&app))]);
    let root = sequence(&[octets(&[0xb0; 32]), der(&[1], &[0xff]), der(&[10], &[0]), octets(&[0xb1; 32])]);
    let hardware = sequence(&[
        field(1, &set(&[integer(&[2])])),
        field(702, &integer(&[0])),
        field(704, &root),
        field(706, &integer(&[3, 0x17, 0x6e])),
    ]);
    let level = || der(&[10], &[1]);
    let (version, challenge) = (integer(&[1, 0x90]), octets(b"nonce"));
    sequence(&[version, level(), integer(&[1, 0x2c]), level(), challenge, octets(b""), software, hardware])
}

fn described_certificate(description: Vec<u8>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.custom_extensions =
        vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 1, 17], description)];
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

/// The data of an authenticator whose key has this point.
fn authenticator_data(point: &[u8]) -> Vec<u8> {
    let (x, y) = point[1..].split_at(32);
    let key = Cbor::labels([
        (1, Cbor::Integer(2)),
        (3, Cbor::Integer(-7)),
        (-1, Cbor::Integer(1)),
        (-2, Cbor::bytes(x)),
        (-3, Cbor::bytes(y)),
    ]);
    let relying_party = Digest::of(b"play.example");
    let head = [relying_party.as_bytes().as_slice(), &[0x41], &[0; 4], &[0; 16], &[0, 16], &[1; 16]].concat();
    [head, key.encode()].concat()
}

/// A client's data, and two registrations for it: nothing vouches for the one, its own key for the other.
fn registrations() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let challenge = URL_SAFE_NO_PAD.encode("nonce");
    let client_data = json!({"type": "webauthn.create", "challenge": challenge, "origin": "https://play.example"});
    let client_data = client_data.to_string().into_bytes();
    let key = KeyPair::generate().unwrap();
    let data = authenticator_data(key.public_key_raw());
    let signed = [data.as_slice(), Digest::of(&client_data).as_bytes()].concat();
    let signature = Cbor::bytes(&key.sign(&signed).unwrap());
    let object = |format, statement| {
        let data = Cbor::bytes(&data);
        Cbor::map([("fmt", Cbor::text(format)), ("attStmt", statement), ("authData", data)]).encode()
    };
    let packed = object("packed", Cbor::map([("alg", Cbor::Integer(-7)), ("sig", signature)]));
    (client_data, object("none", Cbor::Map(Vec::new())), packed)
}
