use super::*;
use SdJwtError as E;

fn payload(credential: &str) -> Value {
    let payload = credential.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn with(change: impl FnOnce(&mut IssueRequest)) -> Result<String, E> {
    let mut request = request();
    change(&mut request);
    request.issue(&issuer(), &mut Seeded(3))
}

#[test]
fn digests_are_sorted_and_tell_little_of_the_number() {
    for (claims, digests) in [(0, 8), (1, 8), (8, 8), (9, 16), (128, 128)] {
        let disclosable = (0..claims).map(|at| (format!("claim-{at}"), json!(at))).collect();
        let credential = with(|request| request.disclosable = disclosable).unwrap();
        let stated = payload(&credential)["_sd"].as_array().unwrap().clone();
        assert_eq!((stated.len(), credential.matches('~').count()), (digests, claims + 1));
        assert!(stated.is_sorted_by_key(|digest| digest.as_str().unwrap().to_owned()));
    }
}

#[test]
fn the_payload_says_what_was_asked() {
    let mut stated = payload(&credential());
    stated.as_object_mut().unwrap().remove("_sd");
    let expected = json!({
        "iss": ISSUER, "vct": VCT, "iat": NOW_S - 86_400, "exp": NOW_S + 86_400, "_sd_alg": "sha-256",
        "assurance": "substantial", "cnf": {"jwk": public(&holder()).to_json()},
        "status": {"status_list": {"idx": 3, "uri": LIST}},
    });
    assert_eq!(stated, expected);
    // Every salt is 128 bits, and none is used twice.
    let credential = credential();
    let salt =
        |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()[0].to_string();
    let salts: std::collections::BTreeSet<String> =
        credential.split('~').skip(1).filter(|text| !text.is_empty()).map(salt).collect();
    assert!(salts.len() == 3 && salts.iter().all(|salt| salt.len() == 24));
}

#[test]
fn what_no_verifier_would_accept_is_not_issued() {
    let put = |name: &str, value: Value| with(|request| drop(request.disclosable.insert(name.to_owned(), value)));
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    for name in REGISTERED.into_iter().chain(["_sd", "...", "_sd_alg"]) {
        assert_eq!(put(name, json!(1)), Err(E::ReservedName), "{name}");
        assert_eq!(with(|request| drop(request.always.insert(name.to_owned(), json!(1)))), Err(E::ReservedName));
    }
    assert_eq!(put("a", json!([{"_sd": []}])), Err(E::ReservedName));
    assert_eq!(put("a", json!({"b": {"...": 1}})), Err(E::ReservedName));
    assert_eq!(put("assurance", json!(1)), Err(E::ClaimExists));
    assert_eq!(put("a", nested(DEPTH_MAX)), Err(E::TooDeep));
    assert_eq!(put("a", json!("x".repeat(PRESENTATION_BYTES_MAX))), Err(E::TooLong));
    assert_eq!(with(|request| request.expires_s = request.issued_s), Err(E::Lifetime));
    let many = (0..=DISCLOSURES_MAX).map(|at| (at.to_string(), json!(1))).collect();
    assert_eq!(with(|request| request.disclosable = many), Err(E::TooManyDisclosures));
    let far = StatusReference { index: 0, uri: "x".repeat(STATUS_URI_BYTES_MAX + 1) };
    assert_eq!(with(|request| request.status = Some(far)), Err(E::StatusReference));
    // What is just allowed is read again.
    let deepest = put("a", nested(DEPTH_MAX - 1)).unwrap();
    let read = receive(&deepest, &trusted(), &[VCT], &public(&holder()), NOW_MS);
    assert_eq!(read.map(|claims| claims["a"].clone()), Ok(nested(DEPTH_MAX - 1)));
}

#[test]
fn a_holder_takes_only_its_own_from_whom_it_trusts() {
    let credential = credential();
    let take = |text: &str, holder: &PublicJwk, now_ms| {
        receive(text, &trusted(), &[VCT], holder, now_ms).map(|claims| claims.len())
    };
    assert_eq!(take(&credential, &public(&holder()), NOW_MS), Ok(4));
    assert_eq!(take(&credential, &public(&key(7)), NOW_MS), Err(E::OtherHolder));
    assert_eq!(take(&credential, &public(&holder()), NOW_MS + 86_430_000), Err(E::Expired));
    assert_eq!(take(&show(&[]), &public(&holder()), NOW_MS), Err(E::Form));
    let foreign = TrustedKeys::new("https://other.example", JwkSet::of(public(&issuer())));
    assert_eq!(receive(&credential, &foreign, &[VCT], &public(&holder()), NOW_MS), Err(E::Issuer));
}

#[test]
fn a_holder_shows_what_it_has() {
    let credential = credential();
    let show =
        |text: &str, names: &[&str], holder: &SigningKey| present(text, names, holder, "a", "n", NOW_S).map(drop);
    assert_eq!(show(&credential, &["region", "region"], &holder()), Ok(()));
    assert_eq!(show(&credential, &["assurance"], &holder()), Err(E::NoSuchClaim));
    assert_eq!(show(&credential, &["name"], &holder()), Err(E::NoSuchClaim));
    assert_eq!(show(&credential, &[], &key(7)), Err(E::OtherHolder));
    assert_eq!(show(&super::show(&[]), &[], &holder()), Err(E::Form));
    assert_eq!(show("", &[], &holder()), Err(E::Form));
    let long = present(&credential, &[], &holder(), "a", &"n".repeat(PRESENTATION_BYTES_MAX), NOW_S);
    assert_eq!(long, Err(E::TooLong));
    let twice = [json!(["s", "a", 1]), json!(["t", "a", 2]), json!(["s", "b", {"_sd": ["#1"]}])];
    let twice = Forge::disclosing(json!({"_sd": ["#0", "#2"]}), &twice).bound();
    assert_eq!(show(&twice, &["a"], &holder()), Err(E::AmbiguousClaim));
}

/// Naming the inner claim shows what is around it, and nothing beside it.
#[test]
fn a_claim_within_a_claim_brings_what_is_around_it() {
    let disclosed = [
        json!(["s", "city", "x"]),
        json!(["s", "zip", "1"]),
        json!(["s", "place", {"_sd": ["#0", "#1"], "kind": "home"}]),
        json!(["s", "whole", {"_sd": ["#2"]}]),
        json!(["s", "other", 1]),
    ];
    let credential = Forge::disclosing(json!({"_sd": ["#3", "#4"]}), &disclosed).bound();
    let shown = |names: &[&str]| {
        verify(&present(&credential, names, &holder(), EXPECTED.audience, EXPECTED.nonce, NOW_S).unwrap())
    };
    assert_eq!(shown(&["city"]), Ok(json!({"tier": 1, "whole": {"place": {"city": "x", "kind": "home"}}})));
    assert_eq!(shown(&["place", "other"]), Ok(json!({"tier": 1, "other": 1, "whole": {"place": {"kind": "home"}}})));
    assert_eq!(shown(&["whole"]), Ok(json!({"tier": 1, "whole": {}})));
}
