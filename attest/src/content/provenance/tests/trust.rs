//! `Valid` is not `Trusted`.

use std::sync::atomic::{AtomicBool, Ordering};

use c2pa::{BoxedSigner, Context, Reader, Signer, SigningAlg, ValidationState};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};

use super::fixtures::{CAPTURE, NOW_MS, Signatory, actions, definition, jpeg, leaf, rule};
use super::{AnchorError, Checker, Cursor, MediaType, Provenance, Settings, State, fixtures};

fn signed(signatory: &Signatory) -> Vec<u8> {
    signatory.sign(MediaType::Jpeg, &jpeg(), &definition(&actions(CAPTURE)))
}

fn check(clip: &[u8], anchors: &[&str], now_ms: u64) -> Provenance {
    Checker::new(&rule(anchors)).unwrap().check(MediaType::Jpeg, clip, now_ms).unwrap()
}

fn codes(told: &Provenance) -> Vec<&str> {
    told.failures.iter().map(|failure| &*failure.code).collect()
}

/// State, whether the signer is trusted, and what failed.
fn outcome(told: &Provenance) -> (State, Option<bool>, Vec<&str>) {
    (told.state, told.signer.as_ref().map(|signer| signer.trusted), codes(told))
}

const UNTRUSTED: &str = "signingCredential.untrusted";

#[test]
fn only_an_anchor_of_the_policy_makes_a_signer_trusted() {
    let (signatory, other) = (Signatory::new(), Signatory::new());
    let clip = signed(&signatory);
    let untrusted = (State::Valid, Some(false), vec![UNTRUSTED]);
    assert_eq!(outcome(&check(&clip, &[], NOW_MS)), untrusted);
    assert_eq!(outcome(&check(&clip, &[&other.root_pem], NOW_MS)), untrusted);
    let trusted = (State::Trusted, Some(true), vec![]);
    assert_eq!(outcome(&check(&clip, &[&other.root_pem, &signatory.root_pem], NOW_MS)), trusted);
    // What is told of the signer is otherwise the same: it is what the manifest says.
    let (valid, trusted) = (check(&clip, &[], NOW_MS), check(&clip, &[&signatory.root_pem], NOW_MS));
    assert_eq!(valid.signer.map(|signer| signer.common_name), trusted.signer.map(|signer| signer.common_name));
    assert_eq!(valid.failures[0].sentence, "the signer's certificates do not lead to an anchor of the policy");
}

/// A certificate for signing content may not issue certificates. The decoder does not ask; we do.
#[test]
fn a_signer_is_no_issuer() {
    let signatory = Signatory::new();
    let forged = signatory.posing_as_issuer("A broadcaster");
    let clip = signed(&forged);
    let mut settings = Settings::new();
    settings.trust.trust_anchors = Some(signatory.root_pem.clone());
    let reader = Reader::from_context(Context::new().with_settings(settings).unwrap());
    let theirs = reader.with_stream("image/jpeg", Cursor::new(&clip)).unwrap().validation_state();
    assert_eq!(theirs, ValidationState::Trusted, "where the decoder asks too, our own look is no longer needed");
    let told = check(&clip, &[&signatory.root_pem], NOW_MS);
    assert_eq!(outcome(&told), (State::Valid, Some(false), vec![UNTRUSTED]));
}

#[test]
fn the_chain_is_verified_at_the_time_that_is_given() {
    let signatory = Signatory::new();
    let clip = signed(&signatory);
    // Certificates are good from 2020 to 2090.
    for (now_ms, state) in [
        (1_577_836_800_000, State::Trusted),
        (1_577_836_799_000, State::Valid),
        (3_786_912_000_000, State::Trusted),
        (3_786_912_001_000, State::Valid),
    ] {
        assert_eq!(check(&clip, &[&signatory.root_pem], now_ms).state, state, "{now_ms}");
    }
}

#[test]
fn a_certificate_that_has_expired_or_is_for_another_use_signs_nothing() {
    let signatory = Signatory::new();
    let (mut expired, mut server) = (leaf("A photographer"), leaf("A photographer"));
    expired.not_after = date_time_ymd(2021, 1, 1);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for (leaf, code) in [(expired, "signingCredential.expired"), (server, "signingCredential.invalid")] {
        let clip = signed_unchecked(&signatory, &signatory.with_leaf(leaf));
        let told = check(&clip, &[&signatory.root_pem], NOW_MS);
        assert_eq!((told.state, codes(&told).contains(&code)), (State::Invalid, true), "{code}: {told:?}");
    }
}

/// Shows a good certificate to the check before it signs, and signs with another of the same key.
struct Switching {
    good: BoxedSigner,
    bad: BoxedSigner,
    shown: AtomicBool,
}

impl Signer for Switching {
    fn sign(&self, data: &[u8]) -> c2pa::Result<Vec<u8>> {
        self.bad.sign(data)
    }

    fn alg(&self) -> SigningAlg {
        self.bad.alg()
    }

    fn certs(&self) -> c2pa::Result<Vec<Vec<u8>>> {
        if self.shown.swap(true, Ordering::Relaxed) { self.bad.certs() } else { self.good.certs() }
    }

    fn reserve_size(&self) -> usize {
        self.bad.reserve_size()
    }
}

fn signed_unchecked(good: &Signatory, bad: &Signatory) -> Vec<u8> {
    let mut signed = Cursor::new(Vec::new());
    let mut builder = fixtures::builder(&definition(&actions(CAPTURE)));
    let signer = Switching { good: good.signer(), bad: bad.signer(), shown: AtomicBool::new(false) };
    builder.sign(&signer, "image/jpeg", &mut Cursor::new(jpeg()), &mut signed).expect("it signs");
    signed.into_inner()
}

#[test]
fn broken_anchors_are_refused() {
    for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert_eq!(Checker::new(&rule(&[pem])).map(|_| ()), Err(AnchorError), "{pem}");
    }
}
