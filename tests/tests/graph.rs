//! The dependency line of the workspace, asserted: one direction, no circles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Each crate and the crates of ours that it builds on, lowest first.
const LINE: [(&str, &[&str]); 6] = [
    ("policies", &[]),
    ("attest", &["policies"]),
    ("personalize", &["policies"]),
    ("aggregator", &["attest", "personalize", "policies"]),
    ("oracle", &["aggregator", "attest", "personalize", "policies"]),
    ("tests", &["oracle"]),
];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo reads the workspace")
}

/// What every crate of ours names of ours, under these kinds of dependency.
fn edges(metadata: &Metadata, kinds: &[DependencyKind]) -> BTreeMap<String, BTreeSet<String>> {
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let named = |package: &cargo_metadata::Package| {
        let dependencies = package.dependencies.iter();
        let wanted = dependencies.filter(|d| kinds.contains(&d.kind) && ours.contains(d.name.as_str()));
        wanted.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), named(package))).collect()
}

#[test]
fn crates_build_on_each_other_in_one_line() {
    let line: BTreeMap<String, BTreeSet<String>> = LINE
        .into_iter()
        .map(|(name, below)| (name.to_owned(), below.iter().map(|&name| name.to_owned()).collect()))
        .collect();
    assert_eq!(edges(&metadata(), &[DependencyKind::Normal, DependencyKind::Build]), line);
}

/// Tests may look at any lower crate, never at a higher one.
#[test]
fn development_dependencies_keep_the_direction() {
    let rank = |name: &str| LINE.iter().position(|(crate_name, _)| *crate_name == name);
    for (name, below) in edges(&metadata(), &[DependencyKind::Development]) {
        for lower in below {
            assert!(rank(&lower) < rank(&name), "{name} looks at {lower}");
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// A path that goes through the module `module`, outside comments.
fn imports(source: &str, module: &str) -> bool {
    let word =
        |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect::<Vec<_>>();
    source.lines().map(|line| line.split("//").next().unwrap_or_default()).any(|code| {
        let paths = code.contains(&format!("{module}::")) || code.contains(&format!("::{module}"));
        // `use crate::{centre, …}` names the module without a path of its own.
        let listed = code.trim_start().starts_with("use ") || code.trim_start().starts_with("pub use ");
        word(code).iter().any(|name| name == module) && (paths || listed)
    })
}

/// The half that runs in the region knows nothing of the half that runs at the centre.
#[test]
fn release_never_imports_centre() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../aggregator/src");
    let mut release: Vec<PathBuf> = sources(&source.join("release"));
    release.push(source.join("release.rs"));
    release.retain(|path| path.is_file());
    assert!(release.len() > 1, "the sources of the release half were not found");
    let guilty: Vec<_> = release
        .iter()
        .filter(|path| imports(&fs::read_to_string(path).expect("a source is readable"), "centre"))
        .collect();
    assert_eq!(guilty, Vec::<&PathBuf>::new());
}

#[test]
fn the_search_for_imports_finds_them() {
    for guilty in [
        "use crate::centre::intake;",
        "    use super::{plan, centre};",
        "pub use crate::{centre as other};",
        "let sum = crate::centre::merge(x);",
        "fn f(x: centre::Sum) {}",
    ] {
        assert!(imports(guilty, "centre"), "{guilty}");
    }
    for innocent in ["// crate::centre::intake", "let centre = 1;", "use crate::centred::Sum;", "/// The [`centre`]."] {
        assert!(!imports(innocent, "centre"), "{innocent}");
    }
}
