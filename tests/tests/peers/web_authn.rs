//! Registrations that a library of others writes, and what the node makes of them beside that library's own server.

use serde_json::{Value, json};

use super::node::{Installation, KeysPolicy, Node};
use super::problem;
use super::script::Script;

/// What the node signed for the platform, and the library's own word.
fn check_accepted(node: &Node<'_>, shown: &Value, expected: (&str, &str, &Value)) {
    let (status, tier, warnings) = expected;
    let appraised = &shown["node"];
    assert_eq!(
        (&appraised["status"], &appraised["tier"], &appraised["warnings"], &shown["library"]),
        (&json!(status), &json!(tier), warnings, &json!("taken"))
    );
    let result = node.result(&appraised["ear"]);
    let told = result.appraised().expect("one appraisal");
    assert_eq!((&json!(result.eat_nonce), &json!(result.exp)), (&shown["nonce"], &appraised["expires_s"]));
    assert_eq!((&json!(told.status), &json!(told.tier)), (&json!(status), &json!(tier)));
}

/// Refused by the node for this, and by the library for that.
fn check_refused(shown: &Value, why: &str, theirs: &str) {
    let (refusal, library) = (&shown["node"], &shown["library"]);
    let said = (&refusal["status"], &refusal["type"], refusal["detail"].as_str(), library.as_str());
    assert_eq!(said, (&json!(422), &json!(problem("device-refused")), Some(why), Some(theirs)));
}

#[tokio::test]
async fn web_authn_by_fido2() {
    let installation = Installation::new();
    let Some(mut script) = Script::start("web_authn_peer.py", &installation, &json!({})) else { return };
    let introduced = script.line();
    let keys = KeysPolicy {
        anchor_pem: introduced["root"].as_str().expect("a certificate"),
        model: "00112233-4455-6677-8899-aabbccddeeff",
    };
    let node = installation.start_with(&keys);
    script.tell(&node.settings());
    let result = script.result();
    check_accepted(&node, &result["by_maker"], ("affirming", "hardware", &json!([])));
    for (name, what) in [("by_self", "Nothing but its own key vouches"), ("none", "Nothing vouches")] {
        let warning = format!("{what} for the authenticator, which the policy accepts with this warning.");
        check_accepted(&node, &result[name], ("warning", "software", &json!([warning])));
    }
    assert_eq!(result["twice"], json!(["affirming", problem("challenge-refused")]));
    let unverified = [
        ("other_maker", "the chain does not end in a trust anchor of the policy", "UntrustedAttestation"),
        ("other_key", "the statement's signature does not verify", "InvalidSignature"),
        ("other_model", "the certificate is of another model of authenticator", "InvalidData"),
        ("nobody", "the authenticator did not see that someone is there", "User Present flag not set."),
    ];
    for (name, why, theirs) in unverified {
        check_refused(&result[name], &format!("The evidence does not verify: {why}."), theirs);
    }
    for (name, why, theirs) in [
        ("other_nonce", "The evidence was made for another nonce.", "Wrong challenge in response."),
        ("other_party", "The credential is for another relying party.", "Wrong RP ID hash in response."),
        (
            "other_page",
            "The page that asked is none of the policy's reference values.",
            "Invalid origin in CollectedClientData.",
        ),
    ] {
        check_refused(&result[name], why, theirs);
    }
}
