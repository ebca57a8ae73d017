use super::*;
use proptest::prelude::*;

fn sample() -> PolicySet {
    PolicySet::parse(&crate::sample::files()).unwrap()
}

fn run(text: &str) -> Report {
    check(&sample(), &BTreeMap::from([("cases/a.toml".to_owned(), text.as_bytes().to_vec())]))
}

/// Line, column and sentence of each finding.
fn found(text: &str) -> Vec<(usize, usize, String)> {
    run(text).findings.into_iter().map(|finding| (finding.line, finding.column, finding.sentence)).collect()
}

fn sample_cases() -> BTreeMap<String, Vec<u8>> {
    let files = [
        ("cases/figures.toml", include_str!("../../cases/figures.toml")),
        ("cases/platforms.toml", include_str!("../../cases/platforms.toml")),
        ("cases/regions.toml", include_str!("../../cases/regions.toml")),
    ];
    files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).into()
}

#[test]
fn the_samples_hold_and_cover_every_decision() {
    let report = check(&sample(), &sample_cases());
    assert_eq!(report.findings, []);
    let uncovered: Vec<String> =
        report.decisions.iter().filter(|decision| !decision.covered).map(|of| of.decision.to_string()).collect();
    assert_eq!(uncovered, Vec::<String>::new());
    assert_eq!(report.percent(), 100);
    // Both kinds are many: neither all is allowed nor all refused.
    let refused = report.decisions.iter().filter(|decision| decision.refused.is_some()).count();
    assert!(refused > 60 && report.decisions.len() - refused > 60, "{refused} of {}", report.decisions.len());
}

/// Each rule of the policies that is taken away or changed makes a case fail: the cases are no decoration.
#[test]
fn a_changed_rule_fails_a_case() {
    for (file, from, to) in [
        ("access.toml", "regions = [\"eu-north\", \"eu-west\"]", "regions = [\"eu-north\", \"eu-west\", \"us-east\"]"),
        ("access.toml", "checks = [\"age_over_18\"]", "checks = [\"age_over_18\", \"account\"]"),
        ("access.toml", "\"subscriber_tier\"]\n", "\"subscriber_tier\", \"region\"]\n"),
        ("access.toml", "content = [\"provenance\", ", "content = ["),
        ("access.toml", "devices = [\"demo-android\", ", "devices = ["),
        ("access.toml", "tokens_for = [\"account\", ", "tokens_for = ["),
        ("regions/eu-west.toml", "failover = [\"eu-north\"]", "failover = []"),
        ("regions/eu-north.toml", "status_min = \"affirming\"", "status_min = \"warning\""),
        ("regions/eu-north.toml", "tier_min = \"hardware\"", "tier_min = \"development\""),
        ("regions/us-east.toml", "window_seconds = 21600", "window_seconds = 43200"),
        ("issuers.toml", "checks = [\"age_over_18\"]", "checks = [\"age_over_18\", \"region\"]"),
    ] {
        let mut files = crate::sample::files();
        let text = String::from_utf8(files[file].clone()).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        files.insert(file.to_owned(), text.replacen(from, to, 1).into_bytes());
        let policies = PolicySet::parse(&files).unwrap_or_else(|findings| panic!("{file} {to}: {findings:?}"));
        assert_ne!(check(&policies, &sample_cases()).findings, [], "{file}: {to}");
    }
}

#[test]
fn what_differs_is_told_with_its_place() {
    let text = "\n[[cases]]\nname = \"a\"\nask = \"check\"\ntenants = [\"nordlys-clips\"]\nregions = [\"eu-west\"]\n\
                checks = [\"age_over_18\", \"account\"]\nexpect = \"allowed\"\n";
    let told = "The case \"a\": eu-west: nordlys-clips, ask account is refused (the tenant's grant does not name it), and allowed is expected.";
    assert_eq!(found(text), [(2, 1, told.to_owned())]);
    let report = run(text);
    assert_eq!((report.cases, report.expectations), (1, 2));
    let covered: Vec<String> =
        report.decisions.iter().filter(|of| of.covered).map(|of| of.decision.to_string()).collect();
    assert_eq!(covered, ["eu-west: nordlys-clips, ask age_over_18"], "only what holds is covered");

    let refused = text.replace("expect = \"allowed\"", "expect = \"refused\"\nreason = \"not-granted\"");
    let sentences: Vec<String> = found(&refused).into_iter().map(|(_, _, sentence)| sentence).collect();
    assert_eq!(
        sentences,
        [
            "The case \"a\": eu-west: nordlys-clips, ask account is refused (the tenant's grant does not name it), and refused (the tenant is granted nothing in this region) is expected.",
            "The case \"a\": eu-west: nordlys-clips, ask age_over_18 is allowed, and refused (the tenant is granted nothing in this region) is expected.",
        ]
    );
}

#[test]
fn cases_that_make_no_sense_are_told() {
    let case = |rest: &str| format!("[[cases]]\nname = \"a\"\n{rest}\n");
    for (rest, sentence) in [
        (
            "ask = \"serve\"\ntenants = [\"a\"]\nexpect = \"allowed\"",
            "`regions` is missing: what it asks is about at least one.",
        ),
        (
            "ask = \"signal\"\ntenants = [\"a\"]\nregions = [\"eu-west\"]\nsignals = [\"like\"]\nexpect = \"allowed\"",
            "`tenants` has nothing to do with what it asks.",
        ),
        (
            "ask = \"serve\"\ntenants = [\"a\"]\nregions = [\"eu-west\"]\nexpect = \"refused\"",
            "`reason` is missing: a refusal is expected for a reason.",
        ),
        (
            "ask = \"serve\"\ntenants = [\"a\"]\nregions = [\"eu-west\"]\nexpect = \"allowed\"\nreason = \"tier\"",
            "`reason` is for refusals.",
        ),
    ] {
        assert_eq!(found(&case(rest)), [(1, 1, format!("The case \"a\": {sentence}"))]);
    }
    let many = vec!["\"eu-west\""; 70].join(", ");
    let rest = format!("ask = \"failover\"\nregions = [{many}]\nto = [{many}]\nexpect = \"allowed\"");
    assert_eq!(
        found(&case(&rest)),
        [(1, 1, "The case \"a\": it asks 4900 questions, and 4096 are the most.".to_owned())]
    );
    let (line, _, sentence) = found("\n[[cases]]\nname = 1\n").remove(0);
    assert_eq!((line, sentence.starts_with("This cannot be read: ")), (3, true), "{sentence}");
    let large = "#".repeat(PolicySet::FILE_BYTES_MAX + 1);
    assert_eq!(found(&large), [(1, 1, "The file is larger than 262144 bytes.".to_owned())]);
    let files = (0..=CASE_FILES_MAX).map(|n| (format!("cases/{n}.toml"), Vec::new())).collect();
    assert_eq!(check(&sample(), &files).findings[0].sentence, "There are 256 files of cases at most.");
}

#[test]
fn figures_are_computed_not_believed() {
    let figures = "[[figures]]\nname = \"f\"\nregion = \"eu-west\"\ntask = \"item-counts\"\npurpose = \"recommendations\"\n\
                   rho = 0.0558\nsigmas = [17.4, 59.86]\n";
    assert_eq!(found(figures), []);
    for (from, to, told) in [
        ("0.0558", "0.0559", "ρ is 0.0558, and 0.0559 is expected."),
        ("17.4,", "17.42,", "σ of rewards is 17.403085, and 17.42 is expected."),
        ("17.4, 59.86", "17.4", "it noises 2 vectors, and 1 are expected."),
        ("recommendations", "experiments", "the purpose is recommendations, and experiments is expected."),
        ("eu-west", "eu-south", "there is no such region, or no such task in it."),
    ] {
        let sentences: Vec<_> =
            found(&figures.replace(from, to)).into_iter().map(|(_, _, sentence)| sentence).collect();
        assert_eq!(sentences, [format!("The case \"f\": {told}")]);
    }
    let budget = "[[budgets]]\nname = \"b\"\nregion = \"us-east\"\nunit = \"session\"\nwindow_seconds = 21600\n\
                  sessions_per_unit = 1\nrho_per_window = 0.4\nepsilon_per_window = 4.605\n";
    assert_eq!(found(budget), []);
    for (from, to, told) in [
        ("\"session\"", "\"viewer-window\"", "another unit is protected."),
        ("unit = 1", "unit = 2", "sessions per unit, over quota, regions and nodes is 1, and 2 is expected."),
        ("4.605", "4.605\nrho_per_year = 1.0", "a session has no bound for a year."),
    ] {
        let sentences: Vec<_> = found(&budget.replace(from, to)).into_iter().map(|(_, _, sentence)| sentence).collect();
        assert_eq!(sentences, [format!("The case \"b\": {told}")]);
    }
}

proptest! {
    #[test]
    fn arbitrary_cases_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::cases(&bytes);
    }
}
