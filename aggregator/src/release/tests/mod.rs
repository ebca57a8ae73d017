//! Properties of the release path as a whole.
#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "statistics and generators")]

mod audit;
pub(crate) mod fixture;
pub(crate) mod memory;
mod mutants;
mod sensitivity;
mod simulation;
pub(crate) mod statistics;
pub(crate) mod wire;

/// The dependency goes one way: the region's half knows nothing of the centre's.
#[test]
fn release_never_imports_centre() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/release"))];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let imports = |line: &str| !line.trim_start().starts_with("//") && line.contains(concat!("centre", "::"));
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.lines().any(imports), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 10, "only {files} files were looked at");
}
