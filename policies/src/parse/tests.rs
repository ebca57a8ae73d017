//! Every check, each with a planted mistake in the files that ship.

mod anchors;
mod attestation;
mod content;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::LazyLock;

use super::{FILE_BYTES_MAX, FILES_MAX, parse};
use crate::{Check, Finding, Rho};

fn samples() -> BTreeMap<String, Vec<u8>> {
    crate::sample::files()
}

fn all_findings(files: &BTreeMap<String, Vec<u8>>) -> Vec<Finding> {
    parse(files).map_or_else(|findings| findings, |set| set.warnings)
}

/// What is found, without what is found in the samples as they are: their profiles of hardware have no values.
fn findings(files: &BTreeMap<String, Vec<u8>>) -> Vec<Finding> {
    static KNOWN: LazyLock<Vec<String>> =
        LazyLock::new(|| all_findings(&samples()).into_iter().map(|finding| finding.sentence).collect());
    all_findings(files).into_iter().filter(|finding| !KNOWN.contains(&finding.sentence)).collect()
}

/// A mistake: in this file, the first occurrence of a text becomes another.
type Mistake = (&'static str, &'static str, &'static str);

fn with(mistakes: &[Mistake]) -> BTreeMap<String, Vec<u8>> {
    let mut files = samples();
    for (file, from, to) in mistakes {
        let bytes = files.get_mut(*file).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        *bytes = text.replacen(from, to, 1).into_bytes();
    }
    files
}

/// One line a mistake, followed by what is found.
fn report(mistakes: &[Mistake]) -> String {
    let mut report = String::new();
    for mistake in mistakes {
        let (file, from, to) = mistake;
        writeln!(report, "# {file}: {} -> {}", from.escape_debug(), to.escape_debug()).unwrap();
        for finding in findings(&with(&[*mistake])) {
            writeln!(report, "{finding}").unwrap();
        }
    }
    report
}

const WEST: &str = "regions/eu-west.toml";
const NORTH: &str = "regions/eu-north.toml";
const EAST: &str = "regions/us-east.toml";
const ACCESS: &str = "access.toml";
const ISSUERS: &str = "issuers.toml";
const KEYS: &str = "issuers/nordlys-id.jwks.json";
const PURPOSE: &str = "purposes/recommendations.toml";

/// More types than one issuer may have.
const SEVENTEEN: &str = r#""a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q""#;

#[test]
fn the_form_is_checked() {
    let report = report(&[
        (WEST, "quota = 1", "quota = 1\nqota = 1"),
        (WEST, "nodes = 1", "nodes = 1\ncolour = 1"),
        (WEST, "[unit]", "[units]"),
        (WEST, "delta = 1e-6\n", ""),
        (WEST, "quota = 1", "quota = 0"),
        (WEST, "quota = 1", "quota = \"one\""),
        (WEST, "quota = 1", "quota = 1.5"),
        (WEST, "delta = 1e-6", "delta = 0.5"),
        (WEST, "delta = 1e-6", "delta = nan"),
        (WEST, "delta = 1e-6", "delta = inf"),
        (WEST, "norm = 2.0", "norm = -2.0"),
        (WEST, "\"viewer-window\"", "\"viewer\""),
        (WEST, "\"skip\"", "\"mood\""),
        (WEST, "signals = [", "signals = 5 #["),
        (WEST, "title = \"Western Europe\"", "title = \" \""),
        (WEST, "[unit]", "[unit"),
        (WEST, "[tasks.co-engagement]", "[tasks.item-counts]"),
        (WEST, "[tasks.co-engagement]", "[tasks.co-watching]"),
        (WEST, "jurisdiction = \"eu\"", "jurisdiction = \"EU!\""),
        (PURPOSE, "tasks = [\"item-counts\", \"co-engagement\", \"ranker-moments\", \"transitions\"]", "tasks = []"),
        (ACCESS, "tenant = \"nordlys-clips\"\n", ""),
        (ACCESS, "tenant = \"nordlys-clips\"", "tenant = \"Nordlys Clips\""),
        (ACCESS, "\"account\", \"age_over_18\", ", "\"account\", \"age_over_81\", "),
        (ACCESS, "tokens_for = [\"account\"", "verified_viewers = \"no\"\ntokens_for = [\"account\""),
        (WEST, "registration = \"invite\"", "registration = \"friends\""),
        (WEST, "token_key_days = 30", "token_key_days = 91"),
        (WEST, "credential_days = 30\n", ""),
        (ISSUERS, "status = \"required\"\n", ""),
        (ISSUERS, "checks = [\"age_over_18\"]", "checks = []"),
        (ISSUERS, "checks = [\"age_over_18\"]", "checks = [\"shoe_size\"]"),
        (ISSUERS, "types = [\"urn:eudi:pid:1\"]", "types = []"),
        (ISSUERS, "\"urn:eudi:pid:1\"", SEVENTEEN),
        (ISSUERS, "own = true", "own = 1"),
        (ISSUERS, "keys_file = \"issuers/nordlys-id.jwks.json\"", "keys_file = 5"),
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn budgets_and_claims_are_recomputed() {
    let report = report(&[
        (WEST, "epsilon_per_window = 2.023", "epsilon_per_window = 2.0"),
        (WEST, "epsilon_per_window = 2.023", "epsilon_per_window = 3.0"),
        (WEST, "epsilon_per_window = 2.023", "epsilon_per_window = 2.03"),
        (WEST, "epsilon_per_year = 19.95", "epsilon_per_year = 2.023"),
        (WEST, "rho_per_window = 0.09", "rho_per_window = 0.08"),
        (WEST, "rho_per_year = 4.77", "rho_per_year = 0.9"),
        (WEST, "rho_per_year = 4.77\n", ""),
        (WEST, "epsilon_per_year = 19.95\n", ""),
        (WEST, "window_seconds = 604800", "window_seconds = 86400"),
        (WEST, "sigma_rewards = 17.4", "sigma_rewards = 25.0"),
        (WEST, "sigma_impressions = 59.86", "sigma_impressions = 5.9"),
        (WEST, "sigma = 8.908", "sigma = 8.9"),
        (WEST, "clip = 2.6", "clip = 1.3"),
        (EAST, "epsilon_per_window", "epsilon_per_year = 40.0\nepsilon_per_window"),
        (EAST, "delta = 1e-9", "delta = 1e-5"),
        (EAST, "sigma = 9.087", "sigma = 9.5"),
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn budgets_of_purposes_are_parts_of_the_whole() {
    let west = |limits: &'static str| (WEST, "epsilon_per_year = 19.95\n", limits);
    let report = report(&[
        west(
            "epsilon_per_year = 19.95\n[budget.purposes.recommendations]\nrho_per_window = 0.09\nrho_per_year = 4.77\n",
        ),
        west("epsilon_per_year = 19.95\n[budget.purposes.recommendations]\nrho_per_window = 0.1\nrho_per_year = 5\n"),
        west("epsilon_per_year = 19.95\n[budget.purposes.recommendations]\nrho_per_window = 0.01\n"),
        west("epsilon_per_year = 19.95\n[budget.purposes.recommendations]\nrho_per_window = 0.09\nrho_per_year = 1\n"),
        west("epsilon_per_year = 19.95\n[budget.purposes.other]\nrho_per_window = 0.09\n"),
        west("epsilon_per_year = 19.95\n[budget.purposes.Other]\nrho_per_window = 0.09\n"),
        west("epsilon_per_year = 19.95\n[budget.purposes.recommendations]\nrho_per_year = 1\n"),
        west("epsilon_per_year = 19.95\n[budget.purposes.recommendations]\nrho_per_window = 0.09\nmore = 1\n"),
        (
            EAST,
            "epsilon_per_window",
            "purposes.recommendations = { rho_per_window = 0.1, rho_per_year = 1.0 }\nepsilon_per_window",
        ),
    ]);
    insta::assert_snapshot!(report);
}

/// What is read is what is explained, and a limit that comes protects more.
#[test]
fn a_budget_of_a_purpose_is_read_explained_and_compared() {
    let limits =
        "epsilon_per_year = 19.95\n[budget.purposes.recommendations]\nrho_per_window = 0.09\nrho_per_year = 4.77\n";
    let (old, new) =
        (parse(&samples()).unwrap(), parse(&with(&[(WEST, "epsilon_per_year = 19.95\n", limits)])).unwrap());
    let policy = new.region(&"eu-west".parse().unwrap()).unwrap();
    let read = policy.budget.purposes[&"recommendations".parse().unwrap()];
    let expected =
        crate::PurposeBudget { rho_per_window: "0.09".parse().unwrap(), rho_per_year: Some("4.77".parse().unwrap()) };
    assert_eq!((read, policy.budget.purposes.len()), (expected, 1));
    let explained = crate::explain::explain(policy, &new);
    let line = "  Of that for `recommendations`: ρ = 0.09 in a window, ρ = 4.77 in a year, at most\n";
    assert!(explained.contains(line), "{explained}");
    let changes: Vec<_> = crate::diff::diff(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["region eu-west, budget of purpose recommendations: new: limited (protects more)"]);
}

#[test]
fn contradictions_are_found() {
    let report = report(&[
        (WEST, "region = \"eu-west\"", "region = \"eu-south\""),
        (WEST, "[tasks.arm-reward]", "[tasks.running-totals]\nhorizon_windows = 365"),
        (WEST, "failover = [\"eu-north\"]", "failover = [\"us-east\"]"),
        (WEST, "failover = [\"eu-north\"]", "failover = [\"eu-west\", \"eu-south\", \"eu-south\"]"),
        (WEST, "session_idle_seconds = 1800", "session_idle_seconds = 18000"),
        (WEST, "purpose = \"recommendations\"", "purpose = \"experiments\""),
        (WEST, "purpose = \"recommendations\"", "purpose = \"advertising\""),
        (WEST, "region_factor = 2", "region_factor = 1"),
        (WEST, "signals = [\"watch\", ", "signals = ["),
        (NORTH, "signals = [\"watch\", ", "signals = [\"kpi\", \"watch\", "),
        (EAST, "quota = 1", "quota = 3"),
        (EAST, "nodes = 1", "nodes = 2"),
        (PURPOSE, "signals = [\"watch\", \"skip\", \"like\"]", "signals = [\"watch\", \"skip\"]"),
        (PURPOSE, "tasks = [\"item-counts\", ", "tasks = ["),
        (PURPOSE, "tasks = [\"item-counts\", ", "tasks = [\"item-counts\", \"item-counts\", "),
        (ACCESS, "regions = [\"eu-north\"]", "regions = [\"eu-nord\"]"),
        (ACCESS, "regions = [\"eu-north\"]", "regions = [\"eu-north\", \"eu-west\"]"),
        (ACCESS, "\"recommendations\", \"experiments\"", "\"recommendations\""),
        (ACCESS, "\"recommendations\", \"experiments\"", "\"recommendations\", \"adverts\", \"experiments\""),
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn identity_is_held_together() {
    let report = report(&[
        (WEST, "token_key_days = 30", "token_key_days = 6"),
        (WEST, "[identity]", "[tasks.none]"),
        (EAST, "registration = \"open\"", "registration = \"token\""),
        (NORTH, "registration = \"invite\"", "registration = \"token\""),
        (ACCESS, "checks = [\"account\", ", "checks = [\"account\", \"account\", "),
        (ACCESS, "checks = [\"account\", \"age_over_18\", ", "checks = [\"account\", "),
        (ACCESS, "purposes = [\"recommendations\"]", "purposes = [\"recommendations\"]\nverified_viewers = true"),
        (ACCESS, "purposes = [\"recommendations\"]", "purposes = [\"recommendations\"]\nverified_viewers = false"),
        (ACCESS, "\nchecks = [\"age_over_18\"]", "\nverified_viewers = true\nchecks = [\"age_over_18\"]"),
        (ISSUERS, "\"age_over_18\", \"subscriber_tier\", \"region\"", "\"age_over_18\", \"region\""),
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn regions_without_identity_are_not_asked() {
    let mut files = with(&[(ACCESS, "purposes = [\"recommendations\"]", "purposes = []\nverified_viewers = true")]);
    for region in [WEST, NORTH] {
        let text = String::from_utf8(files[region].clone()).unwrap();
        let (before, _) = text.split_once("[identity]").unwrap();
        files.insert(region.to_owned(), before.as_bytes().to_vec());
    }
    insta::assert_snapshot!(findings(&files).iter().map(|finding| format!("{finding}\n")).collect::<String>());
}

#[test]
fn tokens_for_an_account_are_had_without_one() {
    let found =
        |mistakes: &[Mistake]| -> Vec<String> { findings(&with(mistakes)).iter().map(ToString::to_string).collect() };
    let token = (EAST, "registration = \"open\"", "registration = \"token\"");
    let only_account = (ACCESS, "tokens_for = [\"account\", \"age_over_18\"]", "tokens_for = [\"account\"]");
    let only_age = (ACCESS, "tokens_for = [\"account\", \"age_over_18\"]", "tokens_for = [\"age_over_18\"]");
    let multiplied = "regions/us-east.toml:75:16: error: An account is made with an anonymous token, and an account admits to more of them: in `us-east` one token would become as many as anyone likes. Remove `account` from `tokens_for`, or choose another `registration`.";
    assert_eq!(found(&[token, only_age]), [""; 0]);
    assert_eq!(found(&[only_account]), [""; 0]);
    assert_eq!(found(&[token]), [multiplied]);
    assert_eq!(
        found(&[token, only_account]),
        [
            multiplied,
            "regions/us-east.toml:75:16: error: An account is made with an anonymous token, but in `us-east` no grant gives one to a viewer without an account: name a check other than `account` in the `tokens_for` of a grant, or choose another `registration`."
        ]
    );
}

#[test]
fn what_everyone_has_admits_to_nothing() {
    let tier =
        (ACCESS, "tokens_for = [\"account\", \"age_over_18\"]", "tokens_for = [\"account\", \"subscriber_tier\"]");
    let found: Vec<String> = findings(&with(&[tier])).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "access.toml:9:26: error: A yes to `subscriber_tier` cannot admit to anonymous tokens: the viewer chooses the value that is asked about, so that everyone could get a yes. Only `account` and `age_over_18` can."
        ]
    );
}

#[test]
fn keys_in_use_at_a_time_are_few() {
    let overlap = (WEST, "token_key_overlap_days = 7", "token_key_overlap_days = 90");
    let period = (WEST, "token_key_days = 30", "token_key_days = 7");
    let credentials = (WEST, "credential_days = 30", "credential_days = 200");
    let found = |mistakes: &[Mistake]| findings(&with(mistakes)).iter().map(|f| f.sentence.clone()).collect::<Vec<_>>();
    assert_eq!(found(&[overlap]), [""; 0]);
    let too_many = |key, days, max| {
        format!(
            "`{key}` is {days}, and keys issue for 7 days: too many keys would be in use at a time to be published. Write {max} or less, or a longer `token_key_days`."
        )
    };
    assert_eq!(
        found(&[overlap, period, credentials]),
        [too_many("credential_days", 200, 140), too_many("token_key_overlap_days", 90, 28)]
    );
}

#[test]
fn issuers_are_known() {
    let nordlys = "issuer = \"https://id.nordlys.example\"";
    let file = "keys_file = \"issuers/nordlys-id.jwks.json\"";
    let report = report(&[
        (ISSUERS, "own = true", "own = false"),
        (ISSUERS, "own = true\n", "own = true\nissuer = \"https://node.example\"\njwks_url = \"https://a\"\n"),
        (ISSUERS, "\"if-present\"", "\"required\""),
        (ISSUERS, "\"age_over_18\", \"subscriber_tier\"", "\"account\", \"age_over_18\", \"subscriber_tier\""),
        (ISSUERS, "\"subscriber_tier\", ", "\"subscriber_tier\", \"age_over_18\", "),
        (ISSUERS, nordlys, "own = true"),
        (ISSUERS, nordlys, "issuer = \"http://id.nordlys.example\""),
        (ISSUERS, nordlys, "issuer = \"https://id.nordlys.example?a=b\""),
        (ISSUERS, file, "jwks_url = \"https://id.nordlys.example/keys?for=siwa\""),
        (ISSUERS, file, "jwks_url = \"ftp://id.nordlys.example/keys\""),
        (ISSUERS, file, "keys_file = \"issuers/nordlys-id.jwks.json\"\njwks_url = \"https://id.nordlys.example/keys\""),
        (ISSUERS, "keys_file = \"issuers/nordlys-id.jwks.json\"\n", ""),
        (ISSUERS, file, "keys_file = \"issuers/nordlys.jwks.json\""),
        (ISSUERS, file, "keys_file = \"../issuers/nordlys-id.jwks.json\""),
        (ISSUERS, "urn:eudi:pid:1", "urn:eudi:pid: 1"),
        (ISSUERS, "urn:eudi:pid:1", "urn:еudi:pid:1"),
        (ISSUERS, "\"urn:eudi:pid:1\"", "\"urn:eudi:pid:1\", \"urn:eudi:pid:1\""),
        (KEYS, "\"keys\": [", "\"keys\": [ ,"),
        (KEYS, "\"keys\"", "\"kyes\""),
        (KEYS, "\"kty\": \"EC\",", "\"kty\": \"EC\", \"d\": \"AA\","),
        (KEYS, "\"kty\": \"EC\",", "\"kty\": \"oct\", \"k\": \"AA\","),
    ]);
    insta::assert_snapshot!(report);

    let repeated = "status = \"required\"\n\n[[issuers]]\nissuer = \"https://id.nordlys.example\"\nkeys_file = \"issuers/nordlys-id.jwks.json\"\ntypes = [\"a\"]\nchecks = [\"region\"]\nstatus = \"if-present\"";
    let twice = findings(&with(&[(ISSUERS, "status = \"required\"", repeated)]));
    insta::assert_snapshot!("issuers_are_known_once", twice.iter().map(|f| format!("{f}\n")).collect::<String>());
}

#[test]
fn names_of_issuers_and_types_are_bounded() {
    let text = String::from_utf8(samples()[ISSUERS].clone()).unwrap();
    let last = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        findings(&BTreeMap::from_iter(samples().into_iter().chain([(ISSUERS.to_owned(), changed.into_bytes())])))
            .pop()
            .map(|finding| finding.sentence)
    };
    let name = |bytes: usize| format!("\"https://a/{}\"", "b".repeat(bytes - 10));
    assert_eq!(last("\"https://id.nordlys.example\"", &name(256)), None);
    let sentence = last("\"https://id.nordlys.example\"", &name(257)).unwrap();
    assert!(sentence.starts_with("`issuer` has 257 characters, and may have 256."), "{sentence}");
    let kind = |bytes: usize| format!("\"{}\"", "b".repeat(bytes));
    assert_eq!(last("\"urn:eudi:pid:1\"", &kind(256)), None);
    let sentence = last("\"urn:eudi:pid:1\"", &kind(257)).unwrap();
    assert_eq!(sentence, "`types` has 257 characters, and may have 256.");
}

#[test]
fn what_a_grant_says_of_viewers_is_read() {
    use crate::{IssuerKeys, IssuerName, StatusRule};
    let set = parse(&samples()).unwrap();
    let grant = |region: &str, tenant: &str| set.grant(&region.parse().unwrap(), &tenant.parse().unwrap()).unwrap();
    let demo = grant("us-east", "demo-platform");
    let asked: Vec<_> = demo.checks.iter().copied().collect();
    assert_eq!(asked, [Check::Account, Check::AgeOver18, Check::SubscriberTier]);
    assert_eq!((demo.tokens_for.len(), demo.verified_viewers), (2, false));
    assert_eq!(grant("eu-north", "demo-platform").checks.len(), 0);
    assert_eq!(set.grant(&"us-east".parse().unwrap(), &"nordlys-clips".parse().unwrap()), None);
    let [own, nordlys] = set.issuers() else { panic!("two issuers") };
    assert_eq!((&own.issuer, &own.keys, own.status), (&IssuerName::Own, &IssuerKeys::Own, StatusRule::IfPresent));
    assert_eq!(nordlys.issuer, IssuerName::Url("https://id.nordlys.example".to_owned()));
    assert_eq!(nordlys.keys, IssuerKeys::File { path: KEYS.to_owned(), jwks: samples()[KEYS].clone() });
}

#[test]
fn everything_is_reported_at_once() {
    let report: Vec<String> = findings(&with(&[
        (WEST, "quota = 1", "quota = 0\nlimit = 5"),
        (WEST, "session_idle_seconds = 1800", "session_idle_seconds = 18000"),
        (NORTH, "failover = [\"eu-west\"]", "failover = [\"us-east\"]"),
        (EAST, "rho_per_window = 0.4", "rho_per_window = 0.2"),
        (ACCESS, "regions = [\"eu-north\"]", "regions = [\"atlantis\"]"),
    ]))
    .iter()
    .map(ToString::to_string)
    .collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn the_folder_is_checked() {
    let mut files = samples();
    files.remove("access.toml");
    files.insert("regions/notes.txt".to_owned(), Vec::new());
    files.insert("regions/a/b.toml".to_owned(), b"region = 'b'".to_vec());
    files.insert("regions/Ä.toml".to_owned(), "region = 'Ä'".into());
    files.insert("issuers/notes.txt".to_owned(), Vec::new());
    files.insert("issuers/a/b.jwks.json".to_owned(), b"{}".to_vec());
    files.insert("issuers/other.jwks.json".to_owned(), b"{\"keys\":[]}".to_vec());
    files.insert("issuers/latin.jwks.json".to_owned(), vec![0xE4]);
    files.insert("purposes/latin.toml".to_owned(), vec![0xE4]);
    files.insert("purposes/large.toml".to_owned(), vec![b'\n'; FILE_BYTES_MAX + 1]);
    let mut report = String::new();
    for finding in findings(&files).iter().filter(|finding| !finding.sentence.contains("is missing in")) {
        writeln!(report, "{finding}").unwrap();
    }
    insta::assert_snapshot!(report);

    let many = (0..=FILES_MAX).map(|index| (format!("regions/r{index}.toml"), Vec::new())).collect();
    assert_eq!(findings(&many)[0].sentence, "A policy folder has 1024 files at most.");
    assert_eq!(findings(&BTreeMap::new()).len(), 2);
}

#[test]
fn places_are_lines_and_characters() {
    let files = with(&[(WEST, "signals = [\"watch\"", "signals = [\"wåtch\", \"mood\"")]);
    let places: Vec<_> = findings(&files).iter().map(|f| (f.file.clone(), f.line, f.column)).collect();
    let west = |line, column| (WEST.to_owned(), line, column);
    assert_eq!(places[..2], [west(8, 12), west(8, 21)]);
}

#[test]
fn rho_is_what_is_written() {
    let set = parse(&samples()).unwrap();
    let west = set.region(&"eu-west".parse().unwrap()).unwrap();
    assert_eq!(west.budget.rho_per_window, Rho::from_picos(90_000_000_000).unwrap());
    let sum: u64 = west.tasks.iter().map(|task| task.rho.picos()).sum();
    assert_eq!(sum, west.budget.rho_per_window.picos());
    let east = set.region(&"us-east".parse().unwrap()).unwrap();
    assert_eq!(east.budget.rho_per_year, Rho::MAX);
}

/// Some of the checks, each with a chance of one half, from the bits of a number.
fn some(bits: u8, of: &[Check]) -> BTreeSet<Check> {
    of.iter().enumerate().filter(|(index, _)| bits >> index & 1 == 1).map(|(_, check)| *check).collect()
}

fn list(checks: &BTreeSet<Check>) -> String {
    let names: Vec<_> = checks.iter().map(|check| check.as_str()).collect();
    serde_json::json!(names).to_string()
}

proptest::proptest! {
    /// A grant is refused exactly if what it says of viewers contradicts itself, the issuers or the region.
    #[test]
    fn grants_hold_together(bits in proptest::prelude::any::<(u8, u8, u8)>(), verified: bool, token: bool) {
        let checks = some(bits.0, &Check::ALL);
        let tokens_for = some(bits.1, &Check::ALL);
        let own = some(bits.2 | 1, &Check::ALL[1..]);
        let mut files = samples();
        let mut change = |file: &str, from: &str, to: String| {
            let text = String::from_utf8(files[file].clone()).unwrap();
            assert!(text.contains(from));
            files.insert(file.to_owned(), text.replacen(from, &to, 1).into_bytes());
        };
        change(ISSUERS, r#"["age_over_18", "subscriber_tier", "region"]"#, list(&own));
        change(ACCESS, r#"["account", "age_over_18", "subscriber_tier"]"#, list(&checks));
        change(ACCESS, r#"["account", "age_over_18"]"#, format!("{}\nverified_viewers = {verified}", list(&tokens_for)));
        change(EAST, r#""open""#, format!("\"{}\"", if token { "token" } else { "open" }));

        let account = BTreeSet::from([Check::Account]);
        let fits = tokens_for.is_subset(&checks)
            && checks.is_subset(&(&own | &account))
            && (!verified || checks.contains(&Check::Account) || !tokens_for.is_empty())
            && tokens_for.is_subset(&BTreeSet::from([Check::Account, Check::AgeOver18]))
            && (!token || tokens_for == BTreeSet::from([Check::AgeOver18]));
        let parsed = parse(&files);
        proptest::prop_assert_eq!(parsed.is_ok(), fits, "{:?}", parsed.err());
        if let Ok(set) = parsed {
            let grant = set.grant(&"us-east".parse().unwrap(), &"demo-platform".parse().unwrap()).unwrap();
            let read = (&grant.checks, &grant.tokens_for, grant.verified_viewers);
            proptest::prop_assert_eq!(read, (&checks, &tokens_for, verified));
        }
    }

    /// Whatever a file holds, there is an answer, and every place is within the file.
    #[test]
    fn any_bytes_get_an_answer(
        file in proptest::sample::select(vec![
            WEST, EAST, PURPOSE, ACCESS, ISSUERS, KEYS, "attestation.toml", "content.toml", "anchors/amd-milan.pem",
        ]),
        at in proptest::prelude::any::<proptest::sample::Index>(),
        removed in 0..40_usize,
        added in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..8),
    ) {
        let mut files = samples();
        let bytes = files.get_mut(file).unwrap();
        let at = at.index(bytes.len());
        let end = (at + removed).min(bytes.len());
        bytes.splice(at..end, added);
        let lines = files[file].iter().filter(|byte| **byte == b'\n').count() + 1;
        for finding in findings(&files) {
            proptest::prop_assert!(finding.file != file || (1..=lines).contains(&finding.line), "{}", finding);
        }
    }
}
