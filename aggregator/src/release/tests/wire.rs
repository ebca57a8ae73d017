//! One release, one form: whatever decodes is what would have been written.

use std::sync::Arc;

use policies::{PrivacyUnit, TaskKind};
use proptest::prelude::*;

use super::fixture::{key, open, outcome, plan, rng, rules, seen, session, unit};
use super::memory::{Memory, now};
use crate::release::wire::{CborError, Integers};
use crate::release::{Envelope, Ledger, Noise, Release, ReleaseBody};

/// An envelope of every task, noised.
pub(crate) fn envelopes(noise: &mut Noise) -> Vec<(TaskKind, Vec<u8>)> {
    let mut window = open(&Arc::new(plan(&rules(), unit(PrivacyUnit::ViewerWindow, 2), 5)));
    window.contribute(Some(b"v"), &session(vec![outcome(0, 1.0), outcome(3, 0.0)]));
    let store = Memory::default();
    now(Ledger::initialise(&store, &mut rng(2))).unwrap();
    let ledger = now(Ledger::open(store, &mut rng(3))).unwrap();
    let seal = |task: crate::release::ClosedTask| {
        let (kind, charge) = (task.plan().kind, now(ledger.charge(&task)).unwrap());
        let release = Release::new(seen(&ledger, charge), task, noise, &key()).unwrap();
        (kind, now(ledger.persist(&release)).unwrap().bytes)
    };
    window.close().into_tasks().into_iter().map(seal).collect()
}

/// The body with its numbers copied out of its bytes.
pub(crate) fn owned(body: &ReleaseBody<Integers<'_>>) -> ReleaseBody<Vec<i64>> {
    body.to_owned()
}

fn bodies() -> Vec<Vec<u8>> {
    let envelopes = envelopes(&mut Noise::seeded([1; 32]));
    envelopes.iter().map(|(_, bytes)| Envelope::decode(bytes).unwrap().body().to_vec()).collect()
}

#[test]
fn what_is_written_is_read() {
    for (index, (kind, bytes)) in envelopes(&mut Noise::from_os().unwrap()).into_iter().enumerate() {
        let envelope = Envelope::decode(&bytes).unwrap();
        let body = envelope.verified_body(&key().verifying_key()).unwrap();
        let read = ReleaseBody::decode(body).unwrap();
        assert_eq!(read.id.to_string(), format!("demo/{kind}/eu-west/node-1/5"));
        assert_eq!((read.sequence, read.private, read.model_version), (index as u64 + 1, true, 3));
        assert_eq!(read.rho.to_string(), "0.5");
        assert_eq!(owned(&read).encode(), body);
    }
    for (_, bytes) in envelopes(&mut Noise::off()) {
        let body = Envelope::decode(&bytes).unwrap().body();
        assert!(!ReleaseBody::decode(body).unwrap().private);
    }
}

/// A decoder that we did not write reads the same.
#[test]
fn it_is_cbor() {
    let body = &bodies()[0];
    let mut decoder = minicbor::Decoder::new(body);
    assert_eq!(decoder.array().unwrap(), Some(18));
    assert_eq!((decoder.u64().unwrap(), decoder.str().unwrap()), (2, "demo"));
    for _ in 0..15 {
        decoder.skip().unwrap();
    }
    assert_eq!((decoder.array().unwrap(), decoder.array().unwrap()), (Some(2), Some(5)));
    assert_eq!(decoder.str().unwrap(), "rewards");
    (0..3).for_each(|_| decoder.skip().unwrap());
    let values: Vec<i64> = decoder.array_iter().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(values, ReleaseBody::decode(body).unwrap().segments[0].values.to_vec());
}

#[test]
fn no_signature_covers_another_body() {
    let sealed = envelopes(&mut Noise::seeded([1; 32]));
    let mut bytes = sealed[0].1.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(Envelope::decode(&bytes).unwrap().verified_body(&key().verifying_key()), None);
    let other = attest::SigningKey::generate(&mut rng(8)).verifying_key();
    assert_eq!(Envelope::decode(&sealed[0].1).unwrap().verified_body(&other), None);
}

#[test]
fn other_forms_are_refused() {
    let body = bodies().remove(3);
    let decode = |bytes: &[u8]| ReleaseBody::decode(bytes).map(|body| body.sequence);
    assert_eq!(decode(&body), Ok(4));
    // Version 1; version 2 in two bytes; one item more.
    assert_eq!(decode(&[&body[..1], &[1], &body[2..]].concat()), Err(CborError::OutOfBounds));
    assert_eq!(decode(&[&body[..1], &[0x18, 2], &body[2..]].concat()), Err(CborError::NotShortest));
    assert_eq!(decode(&[&body[..], &[0]].concat()), Err(CborError::Trailing));
    assert_eq!(decode(&[&[0x93], &body[1..], &[0]].concat()), Err(CborError::OutOfBounds));
    assert_eq!(decode(&[&body[..3], b"D", &body[4..]].concat()), Err(CborError::OutOfBounds));
    let long = vec![0; crate::release::wire::ENVELOPE_BYTES_MAX + 1];
    assert_eq!(Envelope::decode(&long).map(|envelope| envelope.body().len()), Err(CborError::OutOfBounds));
}

proptest! {
    #[test]
    fn a_flipped_bit_never_passes(which in 0usize..4, at: prop::sample::Index, bit in 0u8..8) {
        let sealed = envelopes(&mut Noise::seeded([1; 32])).remove(which).1;
        let mut bytes = sealed.clone();
        bytes[at.index(sealed.len())] ^= 1 << bit;
        let verified = Envelope::decode(&bytes).ok().and_then(|e| e.verified_body(&key().verifying_key()));
        prop_assert_eq!(verified, None);
    }

    #[test]
    fn a_changed_body_is_refused_or_is_another_canonical_one(
        which in 0usize..4, at: prop::sample::Index, bit in 0u8..8, from: prop::sample::Index, length in 1usize..40,
    ) {
        let body = bodies().remove(which);
        let mut flipped = body.clone();
        flipped[at.index(body.len())] ^= 1 << bit;
        let mut reordered = body.clone();
        let start = from.index(body.len());
        let end = (start + length).min(body.len());
        reordered[start..end].rotate_left(1);
        for changed in [flipped, reordered] {
            if let Ok(read) = ReleaseBody::decode(&changed) {
                prop_assert_eq!(owned(&read).encode(), changed);
            }
        }
        // Cut short, nothing decodes: there is no shorter release inside a longer one.
        prop_assert!(ReleaseBody::decode(&body[..start]).is_err());
    }
}
