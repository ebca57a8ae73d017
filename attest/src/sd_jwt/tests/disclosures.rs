use super::*;
use SdJwtError as E;

#[test]
fn disclosures_out_of_place() {
    let name = |name: &str| json!(["salt", name, 1]);
    let claims = json!({"_sd": ["#0"]});
    let reserved = ["_sd", "...", "_sd_alg", "iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"];
    for reserved in reserved {
        assert_eq!(Forge::disclosing(claims.clone(), &[name(reserved)]).verify(), Err(E::ReservedName), "{reserved}");
    }
    let cases = [
        (claims.clone(), vec![name("tier")], E::ClaimExists),
        (json!({"_sd": ["#0", "#1"]}), vec![name("a"), json!(["other", "a", 2])], E::ClaimExists),
        (json!({"_sd": ["#0", "#0"]}), vec![name("a")], E::DuplicateDigest),
        (json!({"_sd": ["x", "x"]}), vec![], E::DuplicateDigest),
        (json!({"_sd": ["#0"], "a": [{"...": "#0"}]}), vec![name("b")], E::DisclosurePlace),
        (json!({"_sd": ["x"], "a": {"_sd": ["x"]}}), vec![], E::DuplicateDigest),
        (claims.clone(), vec![json!(["salt", 1])], E::DisclosurePlace),
        (json!({"a": [{"...": "#0"}]}), vec![name("b")], E::DisclosurePlace),
        (json!({"_sd": []}), vec![name("a")], E::UnreferencedDisclosure),
        (json!({}), vec![name("a")], E::UnreferencedDisclosure),
        // A name may not call for itself, and one that only an unknown disclosure calls for is not called for.
        (json!({"_sd": ["#1"]}), vec![name("a"), json!(["s", "b", 1])], E::UnreferencedDisclosure),
        (json!({"_sd": "#0"}), vec![name("a")], E::Digests),
        (json!({"_sd": [1]}), vec![], E::Digests),
        (json!({"a": [{"...": 1}]}), vec![], E::Digests),
        (json!({"a": [{"...": "x", "b": 1}]}), vec![], E::Digests),
        (json!({"...": "x"}), vec![], E::ReservedName),
        (json!({"a": {"...": "x"}}), vec![], E::ReservedName),
        (json!({"a": [{"...": "#0"}]}), vec![json!(["salt", {"...": "x"}])], E::ReservedName),
        (json!({"a": {"_sd": ["#0"]}}), vec![name("_sd")], E::ReservedName),
    ];
    for (at, (claims, disclosed, error)) in cases.into_iter().enumerate() {
        assert_eq!(Forge::disclosing(claims, &disclosed).verify(), Err(error), "case {at}");
    }
}

#[test]
fn disclosures_that_are_none() {
    for bad in [
        json!([]),
        json!(["s"]),
        json!([1, 2]),
        json!([1, "a", 2]),
        json!(["s", 1, 2]),
        json!(["s", "a", 1, 2]),
        json!({}),
    ] {
        assert_eq!(
            Forge::disclosing(json!({"_sd": ["#0"]}), std::slice::from_ref(&bad)).verify(),
            Err(E::Disclosure),
            "{bad}"
        );
    }
    for bad in ["", "A", "+A", "WyJzIiwgMV0=", "WyJzIiwgMV"] {
        let forge = Forge::new().with(|forge| forge.disclosures.push(bad.to_owned()));
        assert_eq!(forge.verify(), Err(E::Disclosure), "{bad}");
    }
    let twice = Forge::new().with(|forge| forge.disclosures.push(forge.disclosures[0].clone()));
    assert_eq!(twice.verify(), Err(E::DuplicateDisclosure));
    let tampered = Forge::new().with(|forge| forge.disclosures[0] = disclosure_of(&json!(["salt", "region", "us"])));
    assert_eq!(tampered.verify(), Err(E::UnreferencedDisclosure));
    // The same claim in other white space is another disclosure: digests are over text, not over JSON.
    let spaced =
        Forge::new().with(|forge| forge.disclosures[0] = URL_SAFE_NO_PAD.encode(r#"["salt", "region", "eu-north"]"#));
    assert_eq!(spaced.verify(), Err(E::UnreferencedDisclosure));
}

#[test]
fn digests_within_disclosures() {
    let disclosed = [
        json!(["s", "city", "x"]),
        json!(["s", "fi"]),
        json!(["s", "place", {"_sd": ["#0"], "l": [{"...": "#1"}, {"...": "no"}]}]),
    ];
    let forge = Forge::disclosing(json!({"_sd": ["#2", "no2"]}), &disclosed);
    assert_eq!(forge.verify(), Ok(json!({"tier": 1, "place": {"city": "x", "l": ["fi"]}})));
    let without_city = forge.with(|forge| drop(forge.disclosures.remove(0)));
    assert_eq!(without_city.verify(), Ok(json!({"tier": 1, "place": {"l": ["fi"]}})));
    let without_place = without_city.with(|forge| drop(forge.disclosures.pop()));
    assert_eq!(without_place.verify(), Err(E::UnreferencedDisclosure));
    // `iat` may be hidden, and is looked at nevertheless.
    let hidden = |iat: u64| {
        let forge = Forge::disclosing(json!({"_sd": ["#0"]}), &[json!(["s", "iat", iat])]);
        forge.with(|forge| drop(forge.payload.as_object_mut().unwrap().remove("iat"))).verify()
    };
    assert_eq!((hidden(NOW_S), hidden(NOW_S + 31)), (Ok(json!({"tier": 1})), Err(E::NotYetValid)));
}

/// Disclosures that nest, each within the limit, together beyond it.
#[test]
fn depth_adds_up() {
    let nested = |levels: usize| {
        let mut disclosed = vec![json!(["s", "a", 1])];
        for at in 1..levels {
            disclosed.push(json!(["s", "a", {"_sd": [format!("#{}", at - 1)]}]));
        }
        Forge::disclosing(json!({"_sd": [format!("#{}", levels - 1)]}), &disclosed).verify().map(drop)
    };
    assert_eq!(nested(DEPTH_MAX), Ok(()));
    assert_eq!(nested(DEPTH_MAX + 1), Err(E::TooDeep));
}
