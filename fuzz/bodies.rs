//! Bodies of the fuzz targets of what operators, platforms and nodes hand in; those of identity messages stand beside
//! their parsers, in `attest`. None may panic but by its own assertions.

use std::path::Path;
use std::sync::OnceLock;

use aggregator::release::{Envelope, ReleaseBody};
use attest::{ApiKey, OperatorKey, PairwiseSecret, SigningKey, VerifyingKey};
use personalize::{Catalogue, Model};
use policies::PolicySet;

/// Body of the fuzz target `policy_file`: the first byte chooses a file of the sample policies, the rest is its text.
///
/// # Panics
/// When the same files are read in two ways, or a finding names a place outside of the folder.
pub fn policy_file(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let mut files = policies::sample::files();
    let at = usize::from(*choice) % files.len();
    if let Some(file) = files.values_mut().nth(at) {
        *file = text.to_vec();
    }
    let read = PolicySet::parse(&files);
    assert!(read == PolicySet::parse(&files), "the same files are the same policies");
    if let Err(findings) = read {
        assert!(!findings.is_empty(), "what is refused is refused for something");
        assert!(findings.iter().all(|finding| Path::new(&finding.file).is_relative()));
    }
}

/// Body of the fuzz target `catalogue`: items, one a line.
///
/// # Panics
/// When what is read depends on anything but the bytes.
pub fn catalogue(data: &[u8]) {
    let read = |version| Catalogue::parse("fuzz-tenant".parse().expect("a tenant's name"), version, data);
    if let Ok(catalogue) = read(1) {
        assert_eq!(read(2).map(|again| again.digest()), Ok(catalogue.digest()));
        let model = Model::prior(&catalogue, 100_000).encode();
        assert!(Model::decode(&model, &catalogue).is_ok_and(|read| read.encode() == model));
    }
}

/// Body of the fuzz target `model`: a model of a fixed catalogue.
///
/// # Panics
/// When a model has two encodings.
pub fn model(data: &[u8]) {
    let named = Model::catalogue_of(data);
    if let Ok(model) = Model::decode(data, fixed_catalogue()) {
        assert_eq!(named, Ok(fixed_catalogue().digest()), "it says whose it is");
        assert_eq!(model.encode(), data, "a model has one encoding");
    }
}

/// Three items.
pub fn fixed_catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let lines =
            ["a", "b", "c"].map(|id| format!(r#"{{"id":"{id}","title":"t","kind":"clip","tags":[],"year":null}}"#));
        let tenant = "fuzz-tenant".parse().expect("a tenant's name");
        Catalogue::parse(tenant, 1, lines.join("\n").as_bytes()).expect("three items")
    })
}

/// Body of the fuzz target `release`: an envelope, and what stands in one.
///
/// # Panics
/// When a release has two encodings.
pub fn release(data: &[u8]) {
    let inner = Envelope::decode(data).map(|envelope| envelope.body());
    for body in [Ok(data), inner].into_iter().flatten() {
        let Ok(read) = ReleaseBody::decode(body) else { continue };
        assert_eq!(read.to_owned().encode(), body, "a release has one encoding");
    }
}

/// Body of the fuzz target `key_text`: the text of a key file or of a key in a request.
///
/// # Panics
/// When a key does not come back from its text.
pub fn key_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = SigningKey::from_pem(text) {
        assert!(SigningKey::from_pem(&key.to_pem()).is_ok_and(|read| read.verifying_key() == key.verifying_key()));
    }
    if let Ok(key) = text.parse::<VerifyingKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(key) = ApiKey::parse(text) {
        assert_eq!(key.expose(), text);
    }
    if let Ok(key) = OperatorKey::parse(text) {
        assert_eq!(key.to_text().as_str(), text.trim());
    }
    if let Ok(secret) = PairwiseSecret::parse(text) {
        assert_eq!(secret.to_text().trim(), text.trim());
    }
}
