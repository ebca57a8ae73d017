use proptest::prelude::*;

use super::super::fixtures::{Cbor, ManifestParts, Signer, Usage, boxed, keys_assertion, sign1};
use super::super::{
    CoseError, HashError, INIT_BYTES_MAX, LiveError, ManifestError, Method, SESSION_KEYS_MAX, SessionKeyError,
};
use super::*;
use crate::content::live::session_keys::wrapped;
use crate::evidence::chain::ChainError;

fn refusal(init: &[u8], anchors: &Arc<Anchors>) -> LiveError {
    LiveStream::open(init, anchors, NOW_MS).err().expect("refused")
}

/// The refusal of the source's init segment after a change of its session keys.
fn refused_keys(change: impl Fn(&mut Cbor)) -> SessionKeyError {
    let (source, anchors) = setting();
    let mut keys = source.session_keys();
    change(&mut keys);
    let init = source.init_with(&ManifestParts::new(&source.manifest_id, vec![keys_assertion(keys)]));
    match refusal(&init, &anchors) {
        LiveError::SessionKeys(error) => error,
        other => panic!("{other:?}"),
    }
}

fn first(keys: &mut Cbor) -> &mut Cbor {
    let Cbor::Map(fields) = keys else { panic!("a map") };
    let Cbor::Array(keys) = &mut fields[0].1 else { panic!("an array") };
    &mut keys[0]
}

fn refused_manifest(change: impl Fn(&mut ManifestParts)) -> ManifestError {
    let (source, anchors) = setting();
    let mut parts = ManifestParts::new(&source.manifest_id, vec![keys_assertion(source.session_keys())]);
    change(&mut parts);
    match refusal(&source.init_with(&parts), &anchors) {
        LiveError::Manifest(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_policy_asks_for_must_be_there() {
    let (source, anchors) = setting();
    let opened = |labels: &[&str]| {
        let required = labels.iter().map(|label| (*label).to_owned()).collect();
        LiveStream::open_requiring(&source.init(), &anchors, &required, NOW_MS).map(|stream| stream.method())
    };
    assert_eq!(opened(&["c2pa.hash.bmff.v3", "c2pa.actions.v2"]), Ok(Method::SegmentInfo));
    for missing in [&["c2pa.metadata"][..], &["c2pa.hash.bmff.v3", "c2pa.metadata"], &["c2pa.hash.bmff"]] {
        assert_eq!(opened(missing), Err(LiveError::Required), "{missing:?}");
    }
}

#[test]
fn an_init_segment_says_who_signs_what_until_when() {
    let (source, anchors) = setting();
    let stream = open(&source, &anchors);
    assert_eq!((stream.method(), stream.manifest_id()), (Method::SegmentInfo, source.manifest_id.as_str()));
    assert_eq!(stream.signer().common_name.as_deref(), Some("Nordlys"));
    assert_eq!(stream.signer().organization.as_deref(), Some("Nordlys TV"));
    assert_eq!((stream.expires_ms(), stream.last_number()), (NOW_MS + 3_600_000, None));
    let stream = LiveStream::open(&source.init_without_keys(), &anchors, NOW_MS).expect("the source is honest");
    // 2099-01-01.
    assert_eq!((stream.method(), stream.expires_ms()), (Method::ManifestBox, 4_070_908_800_000));
}

#[test]
fn every_purpose_and_algorithm_that_c2pa_names_here_is_taken() {
    let authority = Authority::new("Nordlys");
    for usage in [Usage::DocumentSigning, Usage::EmailProtection, Usage::ClaimSigning] {
        for key in [Key::p256(), Key::p384(), Key::ed25519(7)] {
            let source = Source::new("nordlys", authority.signer_for("Nordlys", usage, 2099), key, NOW_MS);
            let mut stream = open(&source, &authority.anchors());
            assert_eq!(stream.segment(&source.segment(1), NOW_MS), whole(1, Order::InOrder));
        }
    }
}

#[test]
fn boxes_that_are_no_init_segment() {
    let (source, anchors) = setting();
    let init = source.init();
    let with = |more: &[u8]| refusal(&[init.as_slice(), more].concat(), &anchors);
    assert_eq!(refusal(&vec![0; INIT_BYTES_MAX + 1], &anchors), LiveError::TooLong);
    assert_eq!(with(&boxed(b"mdat", &[])), LiveError::Media);
    assert_eq!(with(&boxed(b"moof", &[])), LiveError::Media);
    assert_eq!(with(&boxed(b"moov", &[])), LiveError::NoMovie);
    assert_eq!(with(&[0; 7]), LiveError::Boxes);
    assert_eq!(refusal(&[], &anchors), LiveError::NoMovie);
    assert_eq!(refusal(&boxed(b"moov", &[]), &anchors), LiveError::NoManifest);
    let uuid = place(&init, b"uuid\xd8\xfe") - 4;
    let moov = place(&init, b"moov") - 4;
    assert_eq!(with(&init[uuid..moov]), LiveError::Boxes, "two manifests");
    let storm: Vec<u8> = std::iter::repeat_n(boxed(b"free", &[]), 1025).flatten().collect();
    assert_eq!(with(&storm), LiveError::Boxes);
}

#[test]
fn signers_that_the_policy_does_not_believe() {
    let (source, anchors) = setting();
    let with = |signer: Signer, anchors: &Arc<Anchors>| {
        refusal(&Source::new("nordlys", signer, Key::p256(), NOW_MS).init(), anchors)
    };
    let other = Authority::new("Other");
    let unknown = LiveError::Manifest(ManifestError::Chain(ChainError::UnknownIssuer));
    assert_eq!(with(other.signer("Nordlys"), &anchors), unknown);
    assert_eq!(refusal(&source.init(), &other.anchors()), unknown);
    let namesake = Authority::new("Nordlys");
    let forged = LiveError::Manifest(ManifestError::Chain(ChainError::Signature));
    assert_eq!(refusal(&source.init(), &namesake.anchors()), forged);
    let expired = other.signer_for("Nordlys", Usage::DocumentSigning, 2025);
    assert_eq!(with(expired, &other.anchors()), LiveError::Manifest(ManifestError::Chain(ChainError::Expired)));
    for usage in [Usage::ServerAuth, Usage::Any, Usage::NoSignatures, Usage::None] {
        let signer = other.signer_for("Nordlys", usage, 2099);
        assert_eq!(with(signer, &other.anchors()), LiveError::Manifest(ManifestError::Usage));
    }
    let mut alone = other.signer("Nordlys");
    alone.chain.truncate(1);
    assert_eq!(with(alone, &other.anchors()), unknown);
    let mut foreign = other.signer("Nordlys");
    foreign.key = Key::p256();
    let error = with(foreign, &other.anchors());
    assert_eq!(error, LiveError::Manifest(ManifestError::Signature(CoseError::Signature)));
    let mut garbled = other.signer("Nordlys");
    garbled.chain[0].truncate(100);
    assert_eq!(with(garbled, &other.anchors()), LiveError::Manifest(ManifestError::Certificate));
    let none = Signer { key: Key::p256(), chain: vec![vec![]] };
    assert_eq!(with(none, &other.anchors()), LiveError::Manifest(ManifestError::Certificate));
}

#[test]
fn claims_that_do_not_cover_their_manifest() {
    let claim = |change: fn(&mut Cbor)| refused_manifest(|parts| parts.change_claim = Box::new(change));
    assert_eq!(claim(|claim| claim.remove("signature")), ManifestError::Claim);
    assert_eq!(
        claim(|claim| claim.set("signature", Cbor::text("self#jumbf=/c2pa/x/c2pa.signature"))),
        ManifestError::Claim
    );
    assert_eq!(claim(|claim| claim.remove("alg")), ManifestError::Claim);
    assert_eq!(claim(|claim| claim.set("alg", Cbor::text("md5"))), ManifestError::Claim);
    assert_eq!(claim(|claim| claim.remove("created_assertions")), ManifestError::AssertionUndeclared);
    let twice = claim(|claim| {
        let Cbor::Map(fields) = &*claim else { panic!("a map") };
        let (_, list) = fields.iter().find(|(name, _)| *name == Cbor::text("created_assertions")).expect("a list");
        let list = list.clone();
        claim.set("gathered_assertions", list);
    });
    assert_eq!(twice, ManifestError::AssertionMissing);
    let url =
        |url: &str, hash: &[u8]| Cbor::Array(vec![Cbor::map([("url", Cbor::text(url)), ("hash", Cbor::bytes(hash))])]);
    let (missing, wrong) =
        (url("self#jumbf=c2pa.assertions/x", &[0; 32]), url("self#jumbf=c2pa.assertions/c2pa.session-keys", &[0; 32]));
    let (source, anchors) = setting();
    for (list, error) in [(missing, ManifestError::AssertionMissing), (wrong, ManifestError::AssertionHash)] {
        let mut parts = ManifestParts::new(&source.manifest_id, vec![keys_assertion(source.session_keys())]);
        parts.change_claim = Box::new(move |claim| claim.set("assertions", list.clone()));
        let init = source.init_with(&parts);
        assert_eq!(refusal(&init, &anchors), LiveError::Manifest(error));
    }
}

#[test]
fn hashes_that_do_not_cover_the_bytes() {
    let hash = |change: fn(&mut Cbor)| match refused_manifest(|parts| parts.change_hash = Box::new(change)) {
        ManifestError::Hash(error) => error,
        other => panic!("{other:?}"),
    };
    let exclusions = |path: &str, more: &[(&str, Cbor)]| {
        let mut map = Cbor::map([("xpath", Cbor::text(path))]);
        more.iter().for_each(|(name, value)| map.set(name, value.clone()));
        Cbor::Array(vec![map])
    };
    assert_eq!(hash(|map| map.set("merkle", Cbor::Array(vec![]))), HashError::Merkle);
    assert_eq!(hash(|map| map.set("alg", Cbor::text("sha1"))), HashError::Algorithm);
    assert_eq!(hash(|map| map.set("alg", Cbor::text("sha512"))), HashError::Malformed);
    assert_eq!(hash(|map| map.remove("hash")), HashError::Malformed);
    assert_eq!(hash(|map| map.remove("exclusions")), HashError::Malformed);
    assert_eq!(hash(|map| map.set("hash", Cbor::bytes(&[0; 32]))), HashError::Mismatch);
    let (source, anchors) = setting();
    let data = |offset, value: &[u8]| {
        Cbor::Array(vec![Cbor::map([("offset", Cbor::Integer(offset)), ("value", Cbor::bytes(value))])])
    };
    for list in [
        exclusions("/moov", &[]),
        exclusions("/mdat", &[]),
        exclusions("/uuid", &[]),
        exclusions("/emsg", &[]),
        exclusions("/moov/mvex", &[]),
        exclusions("/uuid", &[("data", data(8, &[0; 16]))]),
        exclusions("/emsg", &[("data", data(12, b"urn:scte:scte35:2013:bin"))]),
        exclusions("/free", &[("length", Cbor::Integer(8))]),
        exclusions("/free", &[("subset", Cbor::Array(vec![]))]),
        exclusions("/free", &[("data", data(8, b"x"))]),
    ] {
        let mut parts = ManifestParts::new(&source.manifest_id, vec![]);
        let text = format!("{list:?}");
        parts.change_hash = Box::new(move |map| map.set("exclusions", list.clone()));
        let error = refusal(&source.init_with(&parts), &anchors);
        assert_eq!(error, LiveError::Manifest(ManifestError::Hash(HashError::Exclusion)), "{text}");
    }
    let mut init = source.init();
    let moov = place(&init, b"mvex") + 4;
    init[moov] ^= 1;
    assert_eq!(refusal(&init, &anchors), LiveError::Manifest(ManifestError::Hash(HashError::Mismatch)));
}

#[test]
fn session_keys_that_are_not_to_be_used() {
    assert_eq!(refused_keys(|keys| keys.remove("keys")), SessionKeyError::Malformed);
    assert_eq!(refused_keys(|keys| keys.set("keys", Cbor::Array(vec![]))), SessionKeyError::Malformed);
    let many = |keys: &mut Cbor| {
        let key = first(keys).clone();
        keys.set("keys", Cbor::Array(vec![key; SESSION_KEYS_MAX + 1]));
    };
    assert_eq!(refused_keys(many), SessionKeyError::Malformed);
    let twice = |keys: &mut Cbor| {
        let key = first(keys).clone();
        keys.set("keys", Cbor::Array(vec![key; 2]));
    };
    assert_eq!(refused_keys(twice), SessionKeyError::Identifier);
    for name in ["key", "minSequenceNumber", "validityPeriod", "signerBinding"] {
        assert_eq!(refused_keys(|keys| first(keys).remove(name)), SessionKeyError::Malformed, "{name}");
    }
    assert_eq!(
        refused_keys(|keys| first(keys).set("minSequenceNumber", Cbor::Integer(-1))),
        SessionKeyError::Malformed
    );
    assert_eq!(
        refused_keys(|keys| first(keys).set("createdAt", Cbor::text("2026-01-01T00:00:00Z"))),
        SessionKeyError::Validity
    );
    let tagged = Cbor::Tagged(0, Box::new(Cbor::text("2026-01-01")));
    assert_eq!(refused_keys(|keys| first(keys).set("createdAt", tagged.clone())), SessionKeyError::Validity);
    for seconds in [0, 401 * 86_400] {
        assert_eq!(
            refused_keys(|keys| first(keys).set("validityPeriod", Cbor::Integer(seconds))),
            SessionKeyError::Validity
        );
    }
    let cose_key = |label: i64, value: Option<Cbor>| {
        move |keys: &mut Cbor| {
            let mut changed = Key::p256().cose_key(b"key-1");
            let Cbor::Map(fields) = &mut changed else { panic!("a map") };
            fields.retain(|(key, _)| *key != Cbor::Integer(label));
            fields.extend(value.clone().map(|value| (Cbor::Integer(label), value)));
            first(keys).set("key", changed);
        }
    };
    assert_eq!(refused_keys(cose_key(2, None)), SessionKeyError::Identifier);
    assert_eq!(refused_keys(cose_key(2, Some(Cbor::bytes(b"")))), SessionKeyError::Identifier);
    assert_eq!(refused_keys(cose_key(3, Some(Cbor::Integer(-8)))), SessionKeyError::Key);
    assert_eq!(refused_keys(cose_key(-1, Some(Cbor::Integer(3)))), SessionKeyError::Key);
    assert_eq!(refused_keys(cose_key(-2, Some(Cbor::bytes(&[0; 31])))), SessionKeyError::Key);
}

#[test]
fn a_session_key_is_bound_to_the_signer() {
    let (mut source, anchors) = setting();
    let certificate = source.signer.chain[0].clone();
    let session = &source.sessions[0].key;
    let binding = |key: &Key, payload: &[u8], attached| sign1(key, vec![], Cbor::Map(vec![]), payload, attached);
    let refused = |binding: Cbor| refused_keys_of(&source, binding, &anchors);
    // The three ways in which sources write it.
    assert_eq!(refused(binding(session, &certificate, false)), None);
    assert_eq!(refused(binding(session, &wrapped(&certificate), false)), None);
    assert_eq!(refused(Cbor::Bytes(binding(session, &certificate, false).encode())), None);
    assert_eq!(refused(binding(session, &certificate, true)), None);
    let unsigned = Some(LiveError::SessionKeys(SessionKeyError::Binding(CoseError::Signature)));
    assert_eq!(refused(binding(&Key::p256(), &certificate, false)), unsigned);
    assert_eq!(refused(binding(&Key::ed25519(1), &certificate, false)), unsigned);
    assert_eq!(refused(binding(session, &source.signer.chain[1], false)), unsigned);
    let elsewhere = Some(LiveError::SessionKeys(SessionKeyError::Binding(CoseError::Payload)));
    assert_eq!(refused(binding(session, b"certificate", true)), elsewhere);
    assert_eq!(refused(Cbor::Null), Some(LiveError::SessionKeys(SessionKeyError::Malformed)));
    let malformed = Some(LiveError::SessionKeys(SessionKeyError::Binding(CoseError::Malformed)));
    assert_eq!(refused(Cbor::bytes(b"\x80")), malformed);
    // Another source takes the key for its own, binding and all.
    let thief = Authority::new("Thief");
    let keys = source.session_keys();
    source.signer = thief.signer("Thief");
    let stolen = source.init_with(&ManifestParts::new(&source.manifest_id, vec![keys_assertion(keys)]));
    assert_eq!(LiveStream::open(&stolen, &thief.anchors(), NOW_MS).err(), unsigned);
}

fn refused_keys_of(source: &Source, binding: Cbor, anchors: &Arc<Anchors>) -> Option<LiveError> {
    let mut keys = source.session_keys();
    first(&mut keys).set("signerBinding", binding);
    let init = source.init_with(&ManifestParts::new(&source.manifest_id, vec![keys_assertion(keys)]));
    LiveStream::open(&init, anchors, NOW_MS).err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// What is under no signature (an offset, brands, toggles) changes nothing that is said.
    #[test]
    fn a_flipped_bit_refuses_the_segment_or_says_nothing_else(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (source, anchors) = setting();
        let mut init = source.init();
        let at = at.index(init.len());
        init[at] ^= 1 << bit;
        if let Ok(mut stream) = LiveStream::open(&init, &anchors, NOW_MS) {
            prop_assert_eq!((stream.method(), stream.manifest_id()), (Method::SegmentInfo, source.manifest_id.as_str()));
            prop_assert_eq!(stream.expires_ms(), NOW_MS + 3_600_000);
            prop_assert_eq!(stream.segment(&source.segment(1), NOW_MS), whole(1, Order::InOrder));
        }
    }

    #[test]
    fn a_cut_segment_is_refused(at in any::<prop::sample::Index>()) {
        let (source, anchors) = setting();
        let init = source.init();
        prop_assert!(LiveStream::open(&init[..at.index(init.len())], &anchors, NOW_MS).is_err());
    }
}
