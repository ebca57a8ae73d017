//! A real document (samples/README.md), whose leaf lived from 16:07 to 19:07 on 2025-01-06.

use hex_literal::hex;

use super::*;

const DOCUMENT: &[u8] = include_bytes!("../../samples/nitro_document.cose");
/// When the document was made.
const MADE_MS: u64 = 1_736_179_625_000;

fn amazon() -> Anchors {
    Anchors::from_der(vec![include_bytes!("../../samples/nitro_root.der").as_slice().into()])
}

fn sample() -> NitroEvidence {
    NitroEvidence { document: DOCUMENT.to_vec().into() }
}

#[test]
fn a_real_document_verifies_at_its_time() {
    let found = verify(&sample(), &amazon(), MADE_MS + 60_000).unwrap();
    assert_eq!((found.bound, found.tier), (Vec::new(), Tier::Hardware), "it carries no user data");
    let claims = found.claims;
    assert_eq!(claims.module_id, "i-0bee92034f3d60691-enc01943c5eaab3ad6a");
    assert_eq!(claims.timestamp_ms / 1000, MADE_MS / 1000);
    assert_eq!(claims.pcrs.keys().copied().collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
    let image =
        hex!("8bb159f202bb95d6d4d98e0e103918246cea734f1d57cd263e4fd56075ed53f6fa8c68854817a32749a241e11874c26b");
    assert_eq!(claims.pcrs[&0], Measurement(image.to_vec()));
    assert_eq!((claims.public_key.map(|key| key.len()), claims.nonce), (Some(294), None));
}

#[test]
fn it_is_refused_at_other_times() {
    let at = |now_ms| verify(&sample(), &amazon(), now_ms).err();
    assert_eq!(at(NOW_MS), Some(NitroError::Chain(ChainError::Expired)), "today");
    assert_eq!(at(MADE_MS - 3_600_000), Some(NitroError::Chain(ChainError::NotYetValid)));
    assert_eq!(at(MADE_MS + AGE_MS_MAX + 1000), Some(NitroError::Stale), "while its leaf lives");
    assert_eq!(verify(&sample(), &anchors(), MADE_MS).err(), Some(NitroError::Chain(ChainError::UnknownIssuer)));
}

#[test]
fn every_byte_counts() {
    let anchors = amazon();
    for byte in 0..DOCUMENT.len() {
        // Each byte of the head and of the signature; of what lies between, and costs a chain each time, a part.
        if (300..4685).contains(&byte) && byte % 17 != 0 {
            continue;
        }
        let mut evidence = sample();
        evidence.document.0[byte] ^= 1;
        let refused = verify(&evidence, &anchors, MADE_MS + 1000).err();
        let expected = match byte {
            // The last 96 bytes are the signature.
            _ if byte >= DOCUMENT.len() - 96 => matches!(refused, Some(NitroError::Signature)),
            _ => refused.is_some(),
        };
        assert!(expected, "{byte}: {refused:?}");
    }
}
