use proptest::prelude::*;

use super::*;
use crate::keys::tests::rfc8037_key;

/// A binding whose every part is its own.
pub(crate) fn sample() -> Binding {
    Binding {
        nonce: "a nonce of the verifier".to_owned(),
        node: "eu-west-1".parse().unwrap(),
        region: "eu-west".parse().unwrap(),
        node_key: rfc8037_key().verifying_key(),
        answer_key: VerifyingKey::from_bytes([2; 32]),
        tls_spki: Digest::of(b"spki"),
        oblivious_keys: vec![Digest::of(b"o1")],
        token_keys: vec![Digest::of(b"t1"), Digest::of(b"t2")],
        policy: Digest::of(b"policy"),
        config: Digest::of(b"config"),
        version: "0.1.0".to_owned(),
    }
}

/// Computed by a program of its own (Python's hashlib and struct) from the text of [`Binding::digest`].
#[test]
fn the_digest_is_known() {
    let exporter = &[9; 32];
    let expected = [
        (BindingContext::Viewer, "4b33527d140cc76ea4d620574432e1aa97a43ca5fd3dd9b60937beca28f80bb0"),
        (BindingContext::Admission { exporter }, "68ba623296ae00515d127c762453753283b1d1fd85009d493bb83bd4c5b26bae"),
    ];
    for (context, digest) in expected {
        assert_eq!(sample().digest(context).to_string(), digest);
    }
}

/// Each part, altered alone.
fn alterations() -> Vec<(&'static str, Binding)> {
    let sample = sample;
    vec![
        ("nonce", Binding { nonce: "b nonce of the verifier".to_owned(), ..sample() }),
        ("node", Binding { node: "eu-west-2".parse().unwrap(), ..sample() }),
        ("region", Binding { region: "eu-wesu".parse().unwrap(), ..sample() }),
        ("node_key", Binding { node_key: VerifyingKey::from_bytes([1; 32]), ..sample() }),
        ("answer_key", Binding { answer_key: VerifyingKey::from_bytes([3; 32]), ..sample() }),
        ("tls_spki", Binding { tls_spki: Digest::of(b"other"), ..sample() }),
        ("oblivious_keys", Binding { oblivious_keys: vec![], ..sample() }),
        ("token_keys", Binding { token_keys: vec![Digest::of(b"t2"), Digest::of(b"t1")], ..sample() }),
        (
            "a key moved to the other list",
            Binding {
                oblivious_keys: vec![Digest::of(b"o1"), Digest::of(b"t1")],
                token_keys: vec![Digest::of(b"t2")],
                ..sample()
            },
        ),
        ("policy", Binding { policy: Digest::of(b"other"), ..sample() }),
        ("config", Binding { config: Digest::of(b"other"), ..sample() }),
        ("version", Binding { version: "0.1.1".to_owned(), ..sample() }),
    ]
}

#[test]
fn every_part_and_both_contexts_count() {
    let contexts = [
        BindingContext::Viewer,
        BindingContext::Admission { exporter: &[9; 32] },
        BindingContext::Admission { exporter: &[8; 32] },
    ];
    let mut digests = std::collections::BTreeSet::new();
    let mut made = 0;
    for context in contexts {
        for (_, binding) in alterations().into_iter().chain([("none", sample())]) {
            digests.insert(binding.digest(context));
            made += 1;
        }
    }
    assert_eq!((digests.len(), made), (39, 39), "no two are the same");
}

#[test]
fn every_bound_holds() {
    let long = |letters| "x".repeat(letters);
    let keys = |number| vec![Digest::of(b"k"); number];
    for (binding, bounded) in [
        (sample(), true),
        (Binding { nonce: String::new(), ..sample() }, false),
        (Binding { nonce: long(NONCE_BYTES_MAX), ..sample() }, true),
        (Binding { nonce: long(NONCE_BYTES_MAX + 1), ..sample() }, false),
        (Binding { version: long(64), ..sample() }, true),
        (Binding { version: long(65), ..sample() }, false),
        (Binding { oblivious_keys: keys(KEYS_MAX), ..sample() }, true),
        (Binding { oblivious_keys: keys(KEYS_MAX + 1), ..sample() }, false),
        (Binding { token_keys: keys(KEYS_MAX), ..sample() }, true),
        (Binding { token_keys: keys(KEYS_MAX + 1), ..sample() }, false),
    ] {
        assert_eq!(binding.is_bounded(), bounded);
    }
}

#[test]
fn it_travels_as_json_and_knows_its_members() {
    let json = serde_json::to_value(sample()).unwrap();
    assert_eq!(serde_json::from_value::<Binding>(json.clone()).unwrap(), sample());
    for member in json.as_object().unwrap().keys() {
        let mut without = json.clone();
        without.as_object_mut().unwrap().remove(member);
        let error = serde_json::from_value::<Binding>(without).unwrap_err().to_string();
        assert_eq!(error, format!("missing field `{member}`"));
    }
    let mut more = json;
    more["more"] = 1.into();
    assert!(serde_json::from_value::<Binding>(more).unwrap_err().to_string().starts_with("unknown field `more`"));
}

#[test]
fn what_is_carried_is_the_digest_and_zeros() {
    let digest = Digest::of(b"x");
    let bytes = digest.as_bytes();
    assert!(carries(bytes, digest));
    assert!(carries(&[bytes.as_slice(), &[0; 32]].concat(), digest));
    assert!(!carries(&[bytes.as_slice(), &[0, 1]].concat(), digest));
    assert!(!carries(&bytes[..31], digest));
    assert!(!carries(&[], digest));
    assert!(!carries(Digest::of(b"y").as_bytes(), digest));
}

proptest! {
    /// Letters that move from one part to its neighbour make another digest: each part has its length before it.
    #[test]
    fn parts_do_not_run_together(text in "[a-z]{2,40}", at in 1_usize..40) {
        let at = at.min(text.len() - 1);
        let (nonce, node) = text.split_at(at);
        let split = |nonce: &str, node: &str| {
            Binding { nonce: nonce.to_owned(), node: node.parse().unwrap(), ..sample() }.digest(BindingContext::Viewer)
        };
        let moved = (at > 1).then(|| text.split_at(at - 1));
        if let Some((other_nonce, other_node)) = moved {
            prop_assert_ne!(split(nonce, node), split(other_nonce, other_node));
        }
    }

    #[test]
    fn any_bit_of_the_carried_bytes_counts(bit in 0_usize..512) {
        let digest = Digest::of(b"x");
        let mut bytes = [digest.as_bytes().as_slice(), &[0; 32]].concat();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!carries(&bytes, digest));
    }
}
