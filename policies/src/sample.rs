//! The sample policies of this crate's folders, built in: what `siwa demo` runs under, and a start for one's own.

use std::collections::BTreeMap;

const FILES: [(&str, &str); 17] = [
    ("access.toml", include_str!("../access.toml")),
    ("anchors/amd-genoa.pem", include_str!("../anchors/amd-genoa.pem")),
    ("anchors/amd-milan.pem", include_str!("../anchors/amd-milan.pem")),
    ("anchors/amd-turin.pem", include_str!("../anchors/amd-turin.pem")),
    ("anchors/apple-app-attest.pem", include_str!("../anchors/apple-app-attest.pem")),
    ("anchors/aws-nitro.pem", include_str!("../anchors/aws-nitro.pem")),
    ("anchors/google-android.pem", include_str!("../anchors/google-android.pem")),
    ("anchors/intel-sgx.pem", include_str!("../anchors/intel-sgx.pem")),
    ("attestation.toml", include_str!("../attestation.toml")),
    ("content.toml", include_str!("../content.toml")),
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
        let files_of_the_root = ["access.toml", "attestation.toml", "content.toml", "issuers.toml"];
        let mut found: Vec<_> = files_of_the_root.map(str::to_owned).into();
        for part in ["anchors", "issuers", "purposes", "regions"] {
            for entry in std::fs::read_dir(folder.join(part)).unwrap() {
                found.push(format!("{part}/{}", entry.unwrap().file_name().to_str().unwrap()));
            }
        }
        found.sort();
        assert_eq!(files().into_keys().collect::<Vec<_>>(), found);
        assert!(crate::PolicySet::parse(&files()).is_ok_and(|set| set.grants().len() == 3));
    }
}
