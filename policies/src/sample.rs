//! The sample policies of this crate's folders, built in: what `siwa demo` runs under, and a start for one's own.

use std::collections::BTreeMap;

const FILES: [(&str, &str); 8] = [
    ("access.toml", include_str!("../access.toml")),
    ("issuers.toml", include_str!("../issuers.toml")),
    ("issuers/nordlys-id.jwks.json", include_str!("../issuers/nordlys-id.jwks.json")),
    ("purposes/experiments.toml", include_str!("../purposes/experiments.toml")),
    ("purposes/recommendations.toml", include_str!("../purposes/recommendations.toml")),
    ("regions/eu-north.toml", include_str!("../regions/eu-north.toml")),
    ("regions/eu-west.toml", include_str!("../regions/eu-west.toml")),
    ("regions/us-east.toml", include_str!("../regions/us-east.toml")),
];

/// The files by their path, as [`crate::PolicySet::parse`] takes them.
#[must_use]
pub fn files() -> BTreeMap<String, Vec<u8>> {
    FILES.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A file that is added to the folders is added here too.
    #[test]
    fn every_file_of_the_folders_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = vec!["access.toml".to_owned(), "issuers.toml".to_owned()];
        for part in ["issuers", "purposes", "regions"] {
            for entry in std::fs::read_dir(folder.join(part)).unwrap() {
                found.push(format!("{part}/{}", entry.unwrap().file_name().to_str().unwrap()));
            }
        }
        found.sort();
        assert_eq!(files().into_keys().collect::<Vec<_>>(), found);
        assert!(crate::PolicySet::parse(&files()).is_ok_and(|set| set.grants().len() == 3));
    }
}
