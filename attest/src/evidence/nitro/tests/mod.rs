mod made;
mod real;

use std::collections::BTreeSet;

use policies::rules::{ReferenceValues, Status};
use proptest::prelude::*;

use super::*;
use crate::evidence::Evidence;
use crate::evidence::testing::{UNBOUND, appraised, bound, failing, nonce, profile};
use made::{
    Fields, HEADER, MODULE, NOW_MS, array, bytes, document, encoded, evidence, fields, integer, payload, registers,
    sign, text,
};

fn anchors() -> Anchors {
    Anchors::from_der(vec![MODULE.root.clone().into()])
}

fn checked(evidence: &NitroEvidence) -> Result<Found<NitroClaims>, NitroError> {
    verify(evidence, &anchors(), NOW_MS)
}

/// The refusal of a signed document whose field was replaced.
fn with(field: &'static str, value: Vec<u8>) -> Option<NitroError> {
    let mut fields = fields(&[0xB0; 64]);
    fields.insert(field, value);
    checked(&document(&fields)).err()
}

fn without(field: &str) -> Result<Found<NitroClaims>, NitroError> {
    let mut fields = fields(&[0xB0; 64]);
    fields.remove(field);
    checked(&document(&fields))
}

fn values() -> NitroValues {
    let value = |byte: u8| BTreeSet::from([Measurement(vec![byte; 48])]);
    NitroValues { pcrs: BTreeMap::from([(0, value(0xA0)), (4, value(0xA4))]) }
}

#[test]
fn every_field_is_found() {
    let pcrs = [(0, 0xA0), (1, 0xA1), (2, 0xA2), (4, 0xA4)];
    let claims = NitroClaims {
        module_id: "i-1-enc2".to_owned(),
        timestamp_ms: NOW_MS - 1000,
        pcrs: pcrs.map(|(number, byte)| (number, Measurement(vec![byte; 48]))).into(),
        public_key: Some(b"key".to_vec()),
        nonce: Some(b"nonce".to_vec()),
    };
    let found = Ok(Found { bound: vec![0xB0; 64], tier: Tier::Hardware, claims });
    let good = document(&fields(&[0xB0; 64]));
    assert_eq!(checked(&good), found);
    let tagged = NitroEvidence { document: [&[0xD2], &good.document[..]].concat().into() };
    assert_eq!(checked(&tagged), found, "with the tag of COSE_Sign1");
    let [header, unprotected, payload, signature] = sign(&HEADER, &payload(&fields(&[0xB0; 64])));
    let indefinite = [vec![0x9F], header, unprotected, payload, signature, vec![0xFF]].concat();
    assert_eq!(checked(&NitroEvidence { document: indefinite.into() }), found, "of no stated length");
}

#[test]
fn fields_may_lack_and_be_null_where_aws_says_so() {
    for field in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        assert_eq!(without(field).err(), Some(NitroError::Field(field)));
        assert_eq!(with(field, vec![0xF6]), Some(NitroError::Field(field)));
    }
    for field in ["public_key", "user_data", "nonce"] {
        let found = without(field).unwrap();
        let parts = [("user_data", found.bound.is_empty()), ("nonce", found.claims.nonce.is_none())];
        let public_key = ("public_key", found.claims.public_key.is_none());
        assert!(parts.into_iter().chain([public_key]).all(|(name, lacks)| lacks == (name == field)), "{field}");
        assert_eq!(with(field, vec![0xF6]), None);
    }
}

#[test]
fn every_field_has_its_bounds() {
    let field = |field| Some(NitroError::Field(field));
    assert_eq!(with("module_id", text("")), field("module_id"));
    assert_eq!(
        (with("module_id", text(&"i".repeat(256))), with("module_id", text(&"i".repeat(257)))),
        (None, field("module_id"))
    );
    assert_eq!(with("module_id", bytes(b"i-1")), field("module_id"));
    for digest in ["SHA256", "SHA512", "sha384", ""] {
        assert_eq!(with("digest", text(digest)), field("digest"));
    }
    assert_eq!(with("timestamp", integer(0)), field("timestamp"));
    assert_eq!(
        with(
            "timestamp",
            encoded(|encoder| {
                encoder.i64(-1).unwrap();
            })
        ),
        field("timestamp")
    );
    assert_eq!(with("timestamp", text("now")), field("timestamp"));
    for pcrs in [
        registers(&[]),
        registers(&[(0, &[1; 32])]),
        registers(&[(0, &[1; 64])]),
        registers(&[(0, &[1; 48]), (32, &[1; 48])]),
        registers(&[(0, &[1; 48]), (256, &[1; 48])]),
        registers(&[(1, &[1; 48])]),
        [vec![0xA1], text("0"), bytes(&[1; 48])].concat(),
        array(&[&[1; 48]]),
    ] {
        assert_eq!(with("pcrs", pcrs), field("pcrs"));
    }
    assert_eq!(with("pcrs", registers(&[(0, &[1; 48]), (31, &[1; 48])])), None);
    for (size, error) in [(0, field("certificate")), (1025, field("certificate"))] {
        assert_eq!(with("certificate", bytes(&vec![0x30; size])), error, "{size}");
    }
    assert_eq!(with("cabundle", array(&[])), field("cabundle"));
    assert_eq!(with("cabundle", array(&[&[]])), field("cabundle"));
    assert_eq!(with("cabundle", array(&[&[0x30; 1025]])), field("cabundle"));
    assert_eq!(with("cabundle", array(&[&MODULE.root[..]; 9])), field("cabundle"));
    assert_eq!(with("cabundle", bytes(&MODULE.root)), field("cabundle"));
    assert_eq!(with("public_key", bytes(&[])), field("public_key"));
    for (name, most) in [("public_key", 1024), ("user_data", 512), ("nonce", 512)] {
        assert_eq!(with(name, bytes(&vec![7; most])), None, "{name}");
        assert_eq!(with(name, bytes(&vec![7; most + 1])), field(name));
        assert_eq!(with(name, text("seven")), field(name));
    }
    assert_eq!(with("more", text("seven")), Some(NitroError::UnknownField));
}

#[test]
fn only_a_cose_sign1_of_es384_is_read() {
    let payload = payload(&fields(&[0xB0; 64]));
    let parts = sign(&HEADER, &payload);
    let replaced = |index: usize, part: Vec<u8>| {
        let mut parts = parts.clone();
        parts[index] = part;
        checked(&evidence(&parts)).err()
    };
    assert_eq!(replaced(0, text("header")), Some(NitroError::Cose));
    assert_eq!(replaced(1, vec![0xA1, 0x04, 0x41, 0x01]), Some(NitroError::Cose), "a header that is not signed");
    assert_eq!(replaced(1, vec![0xF6]), Some(NitroError::Cose));
    assert_eq!(replaced(2, text("payload")), Some(NitroError::Cose));
    assert_eq!(replaced(2, vec![0xF6]), Some(NitroError::Cose), "a detached payload");
    for size in [0, 95, 97, 132] {
        assert_eq!(replaced(3, bytes(&vec![1; size])), Some(NitroError::Cose), "{size}");
    }
    assert_eq!(replaced(3, bytes(&[1; 96])), Some(NitroError::Signature));
    assert_eq!(checked(&evidence(&parts[..3])).err(), Some(NitroError::Cose));
    assert_eq!(checked(&evidence(&[&parts[..], &parts[..1]].concat())).err(), Some(NitroError::Cose));
    let good = evidence(&parts).document.0;
    let of = |document: Vec<u8>| checked(&NitroEvidence { document: document.into() }).err();
    assert_eq!(of([&[0xD1], &good[..]].concat()), Some(NitroError::Cose), "another tag");
    assert_eq!(of([&good[..], &[0]].concat()), Some(NitroError::Cbor(CborError::Trailing)));
    assert_eq!(of(vec![0; DOCUMENT_BYTES_MAX + 1]), Some(NitroError::TooLong));
    for end in 0..good.len() {
        assert_eq!(of(good[..end].to_vec()), Some(NitroError::Cbor(CborError::Malformed)), "{end}");
    }
    // Other algorithms; none; one more header; a critical one (RFC 9052 §3.1).
    for header in [
        &[0xA1, 0x01, 0x26][..],
        &[0xA1, 0x01, 0x38, 0x23],
        &[0xA0],
        &[0xA2, 0x01, 0x38, 0x22, 0x04, 0x41, 0x01],
        &[0xA2, 0x01, 0x38, 0x22, 0x02, 0x81, 0x18, 0x2A],
        &[0x80],
    ] {
        assert_eq!(checked(&evidence(&sign(header, &payload))).err(), Some(NitroError::Header), "{header:02x?}");
    }
    let twice = [0xA2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22];
    assert_eq!(checked(&evidence(&sign(&twice, &payload))).err(), Some(NitroError::Cbor(CborError::Duplicate)));
}

#[test]
fn time_is_held_against_now() {
    let at = |timestamp_ms| with("timestamp", integer(timestamp_ms));
    assert_eq!((at(NOW_MS - AGE_MS_MAX), at(NOW_MS - AGE_MS_MAX - 1)), (None, Some(NitroError::Stale)));
    assert_eq!((at(NOW_MS + AHEAD_MS_MAX), at(NOW_MS + AHEAD_MS_MAX + 1)), (None, Some(NitroError::Future)));
    let good = document(&fields(&[0xB0; 64]));
    let on = |now_ms| verify(&good, &anchors(), now_ms).err();
    // The module's certificate lives on 2026-11-24.
    assert_eq!(on(1_795_478_399_000), Some(NitroError::Chain(ChainError::NotYetValid)));
    assert_eq!(on(1_795_564_801_000), Some(NitroError::Chain(ChainError::Expired)));
    assert_eq!(on(1_795_478_400_000), Some(NitroError::Future));
    assert_eq!(on(1_795_564_799_000), Some(NitroError::Stale));
}

#[test]
fn debug_mode_and_foreign_chains_are_refused() {
    let debug = registers(&[(0, &[0; 48]), (1, &[0; 48]), (2, &[0; 48])]);
    assert_eq!(with("pcrs", debug), Some(NitroError::Debug));
    let good = document(&fields(&[0xB0; 64]));
    let by = |anchors: &Anchors| verify(&good, anchors, NOW_MS).err();
    assert_eq!(by(&Anchors::from_der(Vec::new())), Some(NitroError::Chain(ChainError::UnknownIssuer)));
    let amazon = include_bytes!("../../samples/nitro_root.der").as_slice();
    assert_eq!(by(&Anchors::from_der(vec![amazon.into()])), Some(NitroError::Chain(ChainError::UnknownIssuer)));
    for serial in ["1", "a0b", "c"] {
        let revoked = profile(ReferenceValues::Nitro(values()), &[&MODULE.root], &[serial]);
        let refused = by(&Anchors::of(&revoked).unwrap());
        assert_eq!(refused, Some(NitroError::Chain(ChainError::Revoked)), "{serial}");
    }
    let root_alone = array(&[&MODULE.root]);
    assert_eq!(with("cabundle", root_alone), Some(NitroError::Chain(ChainError::UnknownIssuer)));
    let as_leaf = bytes(&MODULE.root);
    assert_eq!(with("certificate", as_leaf), Some(NitroError::Chain(ChainError::Usage)));
}

#[test]
fn what_was_found_is_compared() {
    use Status::{Affirming as A, Contraindicated as C};
    let claims = checked(&document(&fields(&[0xB0; 64]))).unwrap().claims;
    let statuses =
        |values: &NitroValues| compare(&claims, values).into_iter().map(|claim| claim.status).collect::<Vec<_>>();
    assert_eq!(statuses(&values()), [A, A, A, A]);
    assert_eq!(statuses(&NitroValues::default()), [A, C, A], "no values");
    let set = |register, byte: Option<u8>| {
        let found = byte.into_iter().map(|byte| Measurement(vec![byte; 48])).collect();
        NitroValues { pcrs: BTreeMap::from([(register, found)]) }
    };
    assert_eq!(statuses(&set(0, Some(0xA0))), [A, A, A]);
    assert_eq!(statuses(&set(0, Some(0xA1))), [A, C, A], "another image");
    assert_eq!(statuses(&set(0, None)), [A, C, A], "an empty set");
    assert_eq!(statuses(&set(8, Some(0xA8))), [A, C, A], "a register that the document lacks");
    assert_eq!(statuses(&set(4, Some(0xA4))), [A, A, C, A], "nothing about the program");
    assert_eq!(statuses(&set(2, Some(0xA2))), [A, A, C, A], "an application on any kernel");
    let whole = set(1, Some(0xA1)).pcrs.into_iter().chain(set(2, Some(0xA2)).pcrs).collect();
    assert_eq!(statuses(&NitroValues { pcrs: whole }), [A, A, A, A], "kernel and application are the image");
    let sentences: Vec<_> = compare(&claims, &set(8, Some(0))).into_iter().map(|claim| claim.sentence).collect();
    assert_eq!(sentences[1], "The document lacks PCR 8, the certificate that signed the image.");
}

#[test]
fn it_is_appraised_with_its_nonce() {
    for evidence in [bound::<32>(&nonce(1)).to_vec(), bound::<64>(&nonce(1)).to_vec()] {
        let evidence = Evidence::Nitro(document(&fields(&evidence)));
        let profile = profile(ReferenceValues::Nitro(values()), &[&MODULE.root], &[]);
        let verdict = appraised(&evidence, &profile, nonce(1), NOW_MS);
        assert_eq!((verdict.status(), verdict.tier(), failing(&verdict)), (Status::Affirming, Tier::Hardware, vec![]));
        let verdict = appraised(&evidence, &profile, nonce(2), NOW_MS);
        assert_eq!((verdict.status(), failing(&verdict)), (Status::Contraindicated, vec![UNBOUND]));
        let stale = appraised(&evidence, &profile, nonce(1), NOW_MS + AGE_MS_MAX);
        assert_eq!(failing(&stale), ["The evidence does not verify: the document is stale."]);
        let text = serde_json::to_string(&evidence).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    }
    let mut unbound: Fields = fields(&[]);
    unbound.remove("user_data");
    let evidence = Evidence::Nitro(document(&unbound));
    let profile = profile(ReferenceValues::Nitro(values()), &[&MODULE.root], &[]);
    assert_eq!(failing(&appraised(&evidence, &profile, nonce(1), NOW_MS)), [UNBOUND]);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        fuzz::document(&bytes);
        fuzz::cbor(&bytes);
    }

    #[test]
    fn no_damaged_payload_panics_or_verifies(at in 0_usize..1500, byte in any::<u8>()) {
        let mut payload = payload(&fields(&[0xB0; 64]));
        let at = at % payload.len();
        let before = std::mem::replace(&mut payload[at], byte);
        fuzz::document(&payload);
        let parts = sign(&HEADER, &payload);
        fuzz::document(&evidence(&parts).document);
        // What the module did not sign does not verify, whatever else it says.
        payload[at] = before;
        let [header, unprotected, _, signature] = parts;
        let verified = checked(&evidence(&[header, unprotected, bytes(&payload), signature])).is_ok();
        prop_assert_eq!(verified, before == byte);
    }
}
