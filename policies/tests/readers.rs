//! What people read: the explanation of a region, and the difference of two folders.

use std::collections::BTreeMap;

use policies::PolicySet;
use policies::diff::{Change, diff};
use policies::explain::explain;

fn files() -> BTreeMap<String, String> {
    let text = |bytes| String::from_utf8(bytes).expect("the samples are text");
    policies::sample::files().into_iter().map(|(name, bytes)| (name, text(bytes))).collect()
}

fn set(files: &BTreeMap<String, String>) -> PolicySet {
    let files = files.iter().map(|(name, text)| (name.clone(), text.clone().into_bytes())).collect();
    PolicySet::parse(&files).expect("the changed files are without error")
}

fn replace(files: &mut BTreeMap<String, String>, file: &str, from: &str, to: &str) {
    let text = files.get_mut(file).expect("a file of the samples");
    assert!(text.contains(from), "{file} has no {from}");
    *text = text.replacen(from, to, 1);
}

fn lines(changes: &[Change]) -> String {
    changes.iter().map(|change| format!("{change}\n")).collect()
}

#[test]
fn regions_in_plain_language() {
    let set = set(&files());
    for region in ["eu-north", "eu-west", "us-east"] {
        let text = explain(set.region(&region.parse().unwrap()).unwrap(), &set);
        insta::assert_snapshot!(region, text.replace(&set.digest().to_string(), "[digest]"));
    }
}

#[test]
fn comments_order_and_notation_are_no_decisions() {
    let old = files();
    let mut new = files();
    let west = "regions/eu-west.toml";
    replace(&mut new, west, "# Western Europe.", "# In the west.\n#");
    replace(
        &mut new,
        west,
        "[\"watch\", \"skip\", \"like\", \"kpi\"]",
        "[\n  \"kpi\",\n  \"like\", \"watch\", \"skip\",\n]",
    );
    replace(&mut new, west, "delta = 1e-6", "delta = 0.000_001");
    replace(&mut new, west, "rho_per_window = 0.09", "rho_per_window = 9e-2");
    replace(&mut new, west, "sigma = 8.908", "sigma = 8.9");
    let text = new[west].clone();
    let (head, tasks) = text.split_once("[tasks.item-counts]").unwrap();
    let (first, others) = tasks.split_once("[tasks.co-engagement]").unwrap();
    new.insert(west.to_owned(), format!("{head}[tasks.co-engagement]{others}\n[tasks.item-counts]{first}"));
    let access = old["access.toml"].clone();
    let grants: Vec<&str> = access.split("[[grants]]").collect();
    let reversed = format!("{}[[grants]]{}[[grants]]{}[[grants]]{}", grants[0], grants[3], grants[2], grants[1]);
    new.insert("access.toml".to_owned(), reversed);

    assert_ne!(set(&old).digest(), set(&new).digest());
    assert_eq!(diff(&set(&old), &set(&new)), []);
}

#[test]
fn decisions_are_compared() {
    let old = files();
    let mut new = files();
    let west = "regions/eu-west.toml";
    for (from, to) in [
        ("session_idle_seconds = 1800", "session_idle_seconds = 3600"),
        ("failover = [\"eu-north\"]", "failover = []"),
        ("rho = 0.0252", "rho = 0.02"),
        ("sigma = 8.908", "sigma = 10.0"),
        ("clip = 2.6", "clip = 2.7"),
        ("sigma_rewards = 17.4", "sigma_rewards = 18.0"),
        ("delta = 1e-6", "delta = 1e-7"),
        ("epsilon_per_window = 2.023", "epsilon_per_window = 2.219"),
        ("epsilon_per_year = 19.95", "epsilon_per_year = 21.3"),
    ] {
        replace(&mut new, west, from, to);
    }
    replace(&mut new, "regions/eu-north.toml", ", \"like\"]", "]");
    replace(&mut new, "purposes/recommendations.toml", "We count", "We carefully count");
    replace(&mut new, "access.toml", "regions = [\"eu-north\", \"eu-west\"]", "regions = [\"eu-north\"]");
    new.remove("regions/us-east.toml");
    replace(&mut new, "access.toml", "\"eu-west\", \"us-east\"", "\"eu-west\"");
    let changes = diff(&set(&old), &set(&new));
    insta::assert_snapshot!(lines(&changes));

    let back = diff(&set(&new), &set(&old));
    assert_eq!(back.len(), changes.len());
    for (there, back) in changes.iter().zip(&back) {
        assert_eq!((&there.before, &there.after), (&back.after, &back.before));
    }
}

#[test]
fn a_region_without_identity_in_plain_language() {
    let mut files = files();
    let east = "regions/us-east.toml";
    let text = files[east].split_once("[identity]").unwrap().0.to_owned();
    files.insert(east.to_owned(), text);
    replace(&mut files, "access.toml", "\"eu-west\", \"us-east\"", "\"eu-west\"");
    let set = set(&files);
    let text = explain(set.region(&"us-east".parse().unwrap()).unwrap(), &set);
    let (_, after) = text.split_once("What is checked about viewers\n").unwrap();
    assert_eq!(after.lines().next(), Some("  Nothing: the region checks no identity."));
}

#[test]
fn a_platform_that_asks_nothing_in_plain_language() {
    let set = set(&files());
    let text = explain(set.region(&"eu-north".parse().unwrap()).unwrap(), &set);
    let asked = "  What a platform may ask:\n  - demo-platform: nothing\n    Its viewers get no anonymous tokens.\n    \
                 Its sessions need no verified viewer.\n  - nordlys-clips:\n";
    assert!(text.contains(asked), "{text}");
}

#[test]
fn identity_is_compared() {
    let old = files();
    let mut new = files();
    let west = "regions/eu-west.toml";
    for (from, to) in [
        ("registration = \"invite\"", "registration = \"open\""),
        ("login_starts_per_hour = 20", "login_starts_per_hour = 10"),
        ("assertion_seconds = 600", "assertion_seconds = 900"),
        ("credential_days = 30", "credential_days = 280"),
        ("tokens_per_window = 64", "tokens_per_window = 65"),
        ("token_window_seconds = 86400", "token_window_seconds = 3600"),
        ("token_key_days = 30", "token_key_days = 14"),
        ("token_key_overlap_days = 7", "token_key_overlap_days = 8"),
    ] {
        replace(&mut new, west, from, to);
    }
    replace(&mut new, "regions/us-east.toml", "registration = \"open\"", "registration = \"closed\"");
    let north = new["regions/eu-north.toml"].split_once("[identity]").unwrap().0.to_owned();
    new.insert("regions/eu-north.toml".to_owned(), north);
    replace(&mut new, "access.toml", "[\"eu-north\", \"eu-west\"]", "[\"eu-west\"]");
    replace(&mut new, "access.toml", "\"age_over_18\", \"subscriber_tier\"", "\"age_over_18\"");
    replace(
        &mut new,
        "access.toml",
        "[\"account\", \"age_over_18\"]\ndevices",
        "[\"account\"]\nverified_viewers = true\ndevices",
    );
    let issuers = "issuers.toml";
    for (from, to) in [
        ("\"required\"", "\"if-present\""),
        ("\"urn:eudi:pid:1\"", "\"urn:eudi:pid:1\", \"urn:eudi:pid:2\""),
        ("[\"age_over_18\"]", "[\"age_over_18\", \"region\"]"),
        ("\"subscriber_tier\", ", ""),
    ] {
        replace(&mut new, issuers, from, to);
    }
    let keys = "issuers/nordlys-id.jwks.json";
    replace(&mut new, keys, "\"x\": \"3", "\"x\": \"4");
    let changes = diff(&set(&old), &set(&new));
    insta::assert_snapshot!(lines(&changes));

    // One issuer goes and another comes: what belongs to them needs no line of its own.
    let mut other = files();
    replace(&mut other, issuers, "https://id.nordlys.example", "https://id.example");
    insta::assert_snapshot!("another_issuer", lines(&diff(&set(&old), &set(&other))));
    let mut fetched = files();
    replace(
        &mut fetched,
        issuers,
        "keys_file = \"issuers/nordlys-id.jwks.json\"",
        "jwks_url = \"https://id.example/k\"",
    );
    fetched.remove(keys);
    insta::assert_snapshot!("fetched_keys", lines(&diff(&set(&old), &set(&fetched))));
    // Where members and spaces stand in a file of keys is notation.
    let mut notation = files();
    replace(&mut notation, keys, "      \"kty\": \"EC\",\n", "");
    replace(&mut notation, keys, "\"use\": \"sig\",", "\"use\":\"sig\",\"kty\":\"EC\",");
    assert_eq!(diff(&set(&old), &set(&notation)), []);
}

/// The samples with a profile of every kind of evidence, and with somebody to believe about content.
fn every_kind() -> BTreeMap<String, String> {
    let mut files = files();
    files.insert("attestation.toml".to_owned(), include_str!("fixtures/every-kind.toml").to_owned());
    files.remove("anchors/amd-genoa.pem");
    let all = "[\"a-nitro\", \"a-sgx\", \"a-snp\", \"a-tdx\", \"a-tpm\"]";
    replace(&mut files, "regions/eu-north.toml", "[\"node-snp\", \"node-tdx\", \"node-nitro\"]", all);
    replace(&mut files, "regions/eu-north.toml", "status_min = \"affirming\"", "status_min = \"warning\"");
    for region in ["regions/eu-west.toml", "regions/us-east.toml"] {
        replace(&mut files, region, "[\"node-software\"]", "[\"a-software\"]");
    }
    let devices = "[\"demo-android\", \"demo-ios\", \"demo-web\"]";
    replace(&mut files, "access.toml", devices, "[\"a-passkey\", \"an-android\", \"an-apple\"]");
    replace(&mut files, "content.toml", "anchors = []", "anchors = [\"anchors/intel-sgx.pem\"]");
    let assertion = "answer_seconds = 600\nrequired_assertions = [\"c2pa.actions.v2\"]";
    replace(&mut files, "content.toml", "answer_seconds = 600", assertion);
    files
}

/// The part of an explanation that begins with one heading and ends before another.
fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let (_, after) = text.split_once(&format!("\n{from}\n")).expect("the explanation has this part");
    after.split_once(&format!("\n{to}\n")).expect("the explanation has the next part").0
}

#[test]
fn evidence_of_every_kind_in_plain_language() {
    let mut files = every_kind();
    replace(&mut files, "attestation.toml", "name = \"a-tdx\"", "name = \"a-tdx\"\nstatus_best = \"contraindicated\"");
    let set = set(&files);
    let north = explain(set.region(&"eu-north".parse().unwrap()).unwrap(), &set);
    let nodes = part(&north, "What a node must prove", "What a viewer's device may prove");
    let west = explain(set.region(&"eu-west".parse().unwrap()).unwrap(), &set);
    let rest = part(&west, "What a viewer's device may prove", "When the region fails");
    insta::assert_snapshot!("every_kind", format!("{nodes}\n{rest}"));
    let explained = policies::explain::explanation(set.region(&"eu-west".parse().unwrap()).unwrap(), &set);
    let parts = (&explained.attestation, &explained.devices[1], &explained.content);
    insta::assert_snapshot!("every_kind_json", serde_json::to_string_pretty(&parts).unwrap());
}

#[test]
fn a_region_that_asks_for_no_evidence_in_plain_language() {
    let mut files = files();
    let north = "regions/eu-north.toml";
    let text = files[north].split_once("[attestation]").unwrap().0.to_owned();
    files.insert(north.to_owned(), text);
    let set = set(&files);
    let text = explain(set.region(&"eu-north".parse().unwrap()).unwrap(), &set);
    let nothing = "  Nothing: the region asks for no evidence of what its nodes run. A node is known by its key\n  alone, if \
                   the centre's operator has pinned it.\n";
    assert_eq!(part(&text, "What a node must prove", "What a viewer's device may prove"), nothing);
    let devices = part(&text, "What a viewer's device may prove", "What is checked about content");
    assert_eq!(devices, "  Nothing: no evidence of devices is accepted.\n");
    let content = part(&text, "What is checked about content", "When the region fails");
    assert_eq!(content, "  Nothing: no platform may ask about content here.\n");
}

#[test]
fn evidence_is_compared() {
    let old = every_kind();
    let mut new = every_kind();
    let file = "attestation.toml";
    for (from, to) in [
        ("versions = [\"1.0.0\", \"1.1.0\"]", "versions = [\"1.1.0\"]"),
        ("pcrs = { 0 = [\"aaaa", "pcrs = { 4 = [\"aaaa"),
        ("\"bbbb", "\"eeee"),
        ("revoked = [\"e1f2\", ", "revoked = [\"e1f3\", \"e1f4\", "),
        ("status_best = \"warning\"", "status_best = \"affirming\""),
        ("bootloader = 4", "bootloader = 3"),
        ("microcode = 213", "microcode = 214"),
        ("\"anchors/amd-milan.pem\", ", ""),
        ("\"SWHardeningNeeded\", ", ""),
        ("\"strong-box\"", "\"trusted-environment\""),
        ("202512", "202601"),
        ("development = true", "development = false"),
        ("\"https://www.example.com:8443\"", "\"https://m.example.com\""),
    ] {
        replace(&mut new, file, from, to);
    }
    // One register less: fewer things are compared.
    let (head, tail) = new[file].split_once(", 8 = [").unwrap();
    let (_, tail) = tail.split_once("\"]").unwrap();
    let fewer = format!("{head}{tail}");
    new.insert(file.to_owned(), fewer);
    new.remove("anchors/amd-milan.pem");
    let north = "regions/eu-north.toml";
    replace(&mut new, north, "\"a-sgx\", ", "");
    replace(&mut new, north, "tier_min = \"hardware\"", "tier_min = \"development\"");
    replace(&mut new, north, "status_min = \"warning\"", "status_min = \"affirming\"");
    replace(&mut new, north, "result_seconds = 300", "result_seconds = 600");
    replace(&mut new, "access.toml", "\"an-android\", ", "");
    replace(&mut new, "access.toml", ", \"live\"]", "]");
    let content = "content.toml";
    for (from, to) in [
        ("anchors/intel-sgx.pem", "anchors/aws-nitro.pem"),
        ("\"c2pa.actions.v2\"", "\"c2pa.hash.data\""),
        ("answer_seconds = 600", "answer_seconds = 60"),
        ("\"blocked\"", "\"licensed\""),
        ("distance_max = 31", "distance_max = 30"),
    ] {
        replace(&mut new, content, from, to);
    }
    let changes = diff(&set(&old), &set(&new));
    insta::assert_snapshot!(lines(&changes));
    let back = diff(&set(&new), &set(&old));
    assert_eq!(back.len(), changes.len());
    for (there, back) in changes.iter().zip(&back) {
        assert_eq!((&there.before, &there.after), (&back.after, &back.before));
        assert_eq!(
            there.effect == policies::diff::Effect::Weaker,
            back.effect == policies::diff::Effect::Stronger,
            "{there}"
        );
    }
}

/// A first value lets somebody in, and a further register fewer: both are said.
#[test]
fn values_that_come_and_go_are_weighed() {
    let old = files();
    let mut new = files();
    let value = "1".repeat(96);
    replace(&mut new, "attestation.toml", "measurements = []", &format!("measurements = [\"{value}\"]"));
    replace(&mut new, "attestation.toml", "pcrs = {}", &format!("pcrs = {{ 0 = [\"{value}\"] }}"));
    replace(&mut new, "attestation.toml", "mrtds = []", &format!("mrtds = []\nrtmrs = {{ 1 = [\"{value}\"] }}"));
    assert_eq!(
        lines(&diff(&set(&old), &set(&new))),
        format!(
            "profile node-nitro, registers: new: compared (protects less)\n\
             profile node-snp, the launch measurement {value}: new: accepted (protects less)\n\
             profile node-tdx, run-time register 1: new: compared (protects more)\n"
        )
    );
    // Order and files are notation.
    let mut notation = files();
    let joined = notation["anchors/amd-turin.pem"].clone() + &notation["anchors/amd-milan.pem"];
    notation.insert("anchors/amd.pem".to_owned(), joined);
    let three = "[\"anchors/amd-milan.pem\", \"anchors/amd-genoa.pem\", \"anchors/amd-turin.pem\"]";
    replace(&mut notation, "attestation.toml", three, "[\"anchors/amd-genoa.pem\", \"anchors/amd.pem\"]");
    notation.remove("anchors/amd-turin.pem");
    notation.remove("anchors/amd-milan.pem");
    assert_eq!(diff(&set(&old), &set(&notation)), []);
}
