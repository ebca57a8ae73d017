use proptest::prelude::*;

use super::*;
use crate::binding::tests::sample;
use crate::keys::tests::rfc8037_key;

const NOW_MS: u64 = 1_800_000_000_000;

fn attestation() -> Attestation {
    let binding = sample();
    let bound = binding.digest(crate::binding::BindingContext::Viewer);
    let evidence = Evidence::Software(software::state(bound, "0.1.0", &rfc8037_key(), NOW_MS).unwrap());
    Attestation { binding, evidence }
}

#[test]
fn an_attestation_names_its_kind_and_has_two_members() {
    let json = serde_json::to_value(attestation()).unwrap();
    assert_eq!(json["evidence"]["kind"], "software");
    assert_eq!(serde_json::from_value::<Attestation>(json.clone()).unwrap(), attestation());
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = json.clone();
        change(&mut json);
        serde_json::from_value::<Attestation>(json).unwrap_err().to_string()
    };
    let unknown = refused(&|json| json["evidence"]["kind"] = "word".into());
    assert!(unknown.starts_with("unknown variant `word`"), "{unknown}");
    let more = refused(&|json| json["more"] = 1.into());
    assert!(more.starts_with("unknown field `more`"), "{more}");
    let none = refused(&|json| json["evidence"] = serde_json::json!({}));
    assert_eq!(none, "missing field `kind`");
}

proptest! {
    #[test]
    fn the_targets_take_any_bytes(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz::attestation(&data);
        fuzz::certificate_chain(&data);
    }

    #[test]
    fn the_targets_take_damaged_attestations(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let mut bytes = serde_json::to_vec(&attestation()).unwrap();
        fuzz::attestation(&bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        fuzz::attestation(&bytes);
        fuzz::attestation(&bytes[..cut.index(bytes.len())]);
    }
}
