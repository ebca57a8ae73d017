//! Every check, each with a planted mistake in the files that ship.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{FILE_BYTES_MAX, FILES_MAX, parse};
use crate::{Finding, Rho};

fn samples() -> BTreeMap<String, Vec<u8>> {
    let files = [
        ("access.toml", include_str!("../../access.toml")),
        ("purposes/experiments.toml", include_str!("../../purposes/experiments.toml")),
        ("purposes/recommendations.toml", include_str!("../../purposes/recommendations.toml")),
        ("regions/eu-north.toml", include_str!("../../regions/eu-north.toml")),
        ("regions/eu-west.toml", include_str!("../../regions/eu-west.toml")),
        ("regions/us-east.toml", include_str!("../../regions/us-east.toml")),
    ];
    files.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect()
}

fn findings(files: &BTreeMap<String, Vec<u8>>) -> Vec<Finding> {
    parse(files).map_or_else(|findings| findings, |set| set.warnings)
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
const PURPOSE: &str = "purposes/recommendations.toml";

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
        (PURPOSE, "tasks = [\"item-counts\", \"co-engagement\", \"ranker-moments\"]", "tasks = []"),
        (ACCESS, "tenant = \"nordlys-clips\"\n", ""),
        (ACCESS, "tenant = \"nordlys-clips\"", "tenant = \"Nordlys Clips\""),
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
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn contradictions_are_found() {
    let report = report(&[
        (WEST, "region = \"eu-west\"", "region = \"eu-south\""),
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
fn everything_is_reported_at_once() {
    let report: Vec<String> = findings(&with(&[
        (WEST, "quota = 1", "quota = 0\nlimit = 5"),
        (WEST, "session_idle_seconds = 1800", "session_idle_seconds = 18000"),
        (NORTH, "failover = [\"eu-west\"]", "failover = [\"us-east\"]"),
        (EAST, "rho_per_window = 0.3", "rho_per_window = 0.2"),
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

proptest::proptest! {
    /// Whatever a file holds, there is an answer, and every place is within the file.
    #[test]
    fn any_bytes_get_an_answer(
        file in proptest::sample::select(vec![WEST, EAST, PURPOSE, ACCESS]),
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
