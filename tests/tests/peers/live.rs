//! Live streams of the source that our tests have, verified by a library that we did not write.

use attest::content::live::fixtures::{
    Authority, Cbor, Information, Key, ManifestParts, Source, keys_assertion, media, sign1,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::node::Installation;
use super::script::Script;

/// 2026-11-18T11:06:40Z.
const BEGINS_MS: u64 = 1_795_000_000_000;

/// Session keys whose bindings have their payload attached.
fn attached_keys(source: &Source) -> Cbor {
    let (certificate, session) = (&source.signer.chain[0], &source.sessions[0]);
    let mut entry = session.entry(certificate);
    entry.set("signerBinding", sign1(&session.key, vec![], Cbor::Map(vec![]), certificate, true));
    Cbor::map([("keys", Cbor::Array(vec![entry]))])
}

/// A segment under the value that the library looks for.
fn segment(source: &Source, manifest_id: &str, number: u64) -> Vec<u8> {
    let information = Information { value: "c2pa", ..Information::by(&source.sessions[0], manifest_id) };
    information.segment(number, &media(number))
}

#[test]
fn live_streams_by_encypher() {
    let installation = Installation::new();
    let text = |bytes: &[u8]| STANDARD.encode(bytes);
    let authority = Authority::new("Nordlys");
    let source = Source::new("nordlys", authority.signer("Nordlys"), Key::p256(), BEGINS_MS);
    let attached = ManifestParts::new(&source.manifest_id, vec![keys_assertion(attached_keys(&source))]);
    let mut previous = source.manifest_id.clone();
    let chained: Vec<String> = (1..3)
        .map(|number| {
            let (segment, id) = source.manifest_segment(number, &previous);
            previous = id;
            text(&segment)
        })
        .collect();
    let segments: Vec<String> = (1..4).map(|number| text(&segment(&source, &source.manifest_id, number))).collect();
    let settings = json!({
        "root": authority.root_pem(),
        "time": "2026-11-18T12:00:00Z",
        "init": text(&source.init_with(&attached)),
        "own_form": text(&source.init()),
        "segments": segments,
        "foreign": text(&segment(&source, "urn:c2pa:another", 2)),
        "plain_init": text(&source.init_without_keys()),
        "chained": chained,
    });
    let Some(script) = Script::start("live_peer.py", &installation, &settings) else { return };
    let result = script.result();
    assert_eq!(result["whole"], "valid", "{result}");
    assert_eq!(result["network"], json!({"enabled": false, "needed": [], "requests": []}));
    for broken in ["changed", "gap", "replay", "reordered", "spliced", "init_changed"] {
        assert_eq!(result[broken], "invalid", "{broken}: {result}");
    }
    assert_eq!(result["claim_of_own_form"], "valid", "{result}");
    assert_eq!(result["trust_of_own_form"], "valid_for_supplied_material", "{result}");
    let (valid, broken) = (json!(["valid", "match", "Trusted"]), json!(["valid", "mismatch", "Invalid"]));
    assert_eq!(result["manifests"], json!([valid, valid, valid]), "{result}");
    assert_eq!(result["manifests_changed"], json!([valid, valid, broken]), "{result}");
}
