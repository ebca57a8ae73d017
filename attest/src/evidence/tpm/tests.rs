//! Quotes that swtpm made (fixtures/README.md), and quotes of a TPM that is made up here, which signs whatever a test
//! wants to see refused.

mod comparison;
mod logs;
mod quotes;

use policies::rules::{Anchor, Profile, ReferenceValues, Status, Tier, TpmValues};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::*;
use crate::binding::Binding;
use crate::evidence::{Attestation, Evidence};
use crate::jws::fuzz::fixed_key;
use crate::jws::{self, Typ};

/// 2026-12-01, on which the recorded enrolment was made.
const NOW_MS: u64 = 1_796_083_200_000;
const ISSUER: &[u8] = include_bytes!("fixtures/ek_issuer.pem");
const BOOT_LOG: &[u8] = include_bytes!("fixtures/boot.log");
const IMA_LOG: &[u8] = include_bytes!("fixtures/ima.log");

fn recorded() -> (Binding, TpmEvidence) {
    let attestation: Attestation = serde_json::from_slice(include_bytes!("fixtures/attestation.json")).unwrap();
    let Evidence::Tpm(evidence) = attestation.evidence else { panic!("another kind of evidence") };
    (attestation.binding, evidence)
}

fn profile(values: TpmValues) -> Profile {
    Profile {
        name: "tpm".to_owned(),
        anchors: vec![Anchor { path: "anchors/maker.pem".to_owned(), pem: ISSUER.to_vec() }],
        revoked: BTreeSet::new(),
        status_best: Status::Affirming,
        values: ReferenceValues::Tpm(values),
    }
}

fn anchors() -> Anchors {
    Anchors::of(&profile(TpmValues::default())).unwrap()
}

fn enrolled_by() -> [VerifyingKey; 1] {
    [fixed_key().verifying_key()]
}

fn check(evidence: &TpmEvidence) -> Result<Found<TpmClaims>, TpmError> {
    verify(evidence, &anchors(), &enrolled_by(), NOW_MS)
}

/// The files of the recorded log whose digests are read.
fn programs() -> BTreeSet<Digest> {
    ["registers 0 to 9", "init", "siwa, the program"].map(|file| Digest::of(file.as_bytes())).into()
}

/// A TPM that signs what it is given.
struct Tpm {
    pair: EcdsaKeyPair,
    registers: BTreeMap<u8, Digest>,
}

/// What stands in a quote beside its registers.
struct Form {
    magic: u32,
    kind: u16,
    safe: u8,
    selection: Vec<u8>,
    tail: &'static [u8],
}

impl Tpm {
    fn new(registers: impl IntoIterator<Item = (u8, Digest)>) -> Self {
        let rng = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &rng).unwrap();
        Self { pair, registers: registers.into_iter().collect() }
    }

    fn public(&self) -> Vec<u8> {
        let point = self.pair.public_key().as_ref();
        attestation_area(point[1..33].try_into().unwrap(), point[33..].try_into().unwrap())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&SystemRandom::new(), message).unwrap();
        let mut out = [ALG_ECDSA, ALG_SHA256].map(u16::to_be_bytes).concat();
        signature.as_ref().chunks(32).for_each(|number| wire::put_sized(&mut out, number));
        out
    }

    fn selection(&self) -> Vec<u8> {
        let bits = self.registers.keys().fold(0_u32, |bits, number| bits | 1 << number);
        [&[0, 0, 0, 1, 0, 11, 3], &bits.to_le_bytes()[..3]].concat()
    }

    fn form(&self) -> Form {
        Form { magic: 0xff54_4347, kind: 0x8018, safe: 1, selection: self.selection(), tail: &[] }
    }

    fn enrolment(&self) -> EnrolmentClaims {
        EnrolmentClaims {
            ak_name: Digest::of(&self.public()),
            ek: Digest::of(b"certificate"),
            serials: vec!["2".to_owned(), "1a".to_owned()],
            tier: Tier::Hardware,
            profile: "tpm".to_owned(),
            anchors: enrolment::digest_of(&anchors()),
            policy: Digest::of(b"policy"),
            iat: NOW_MS / 1000,
            exp: NOW_MS / 1000 + 86_400,
        }
    }

    fn quote_in(&self, form: &Form, bound: &[u8]) -> TpmEvidence {
        let mut attest = [&form.magic.to_be_bytes()[..], &form.kind.to_be_bytes()].concat();
        wire::put_sized(&mut attest, b"qualified signer");
        wire::put_sized(&mut attest, bound);
        attest.extend(7_u64.to_be_bytes());
        attest.extend([2_u32, 1].map(u32::to_be_bytes).concat());
        attest.push(form.safe);
        attest.extend(0x0102_0304_0506_0708_u64.to_be_bytes());
        attest.extend(&form.selection);
        let values: Vec<u8> = self.registers.values().flat_map(|value| *value.as_bytes()).collect();
        wire::put_sized(&mut attest, Digest::of(&values).as_bytes());
        attest.extend(form.tail);
        let pcrs = self.registers.iter().map(|(number, value)| Register { number: *number, value: *value });
        TpmEvidence {
            signature: self.sign(&attest).into(),
            attest: attest.into(),
            ak_public: self.public().into(),
            pcrs: pcrs.collect(),
            boot_log: None,
            ima_log: None,
            enrolment: statement(&self.enrolment()),
        }
    }

    fn quote(&self, bound: &[u8]) -> TpmEvidence {
        self.quote_in(&self.form(), bound)
    }
}

fn statement(claims: &EnrolmentClaims) -> String {
    jws::sign(Typ::Enrolment, claims, &fixed_key()).unwrap()
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}
