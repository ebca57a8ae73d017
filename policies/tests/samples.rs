//! The policy folder that ships is without findings, and says what its comments say.

use std::collections::BTreeMap;

use policies::{PolicySet, TaskKind};

fn folder() -> BTreeMap<String, Vec<u8>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = BTreeMap::new();
    for name in ["access.toml", "attestation.toml", "content.toml", "issuers.toml"] {
        files.insert(name.to_owned(), std::fs::read(root.join(name)).expect("the sample folder is readable"));
    }
    for part in ["anchors", "issuers", "regions", "purposes"] {
        for entry in std::fs::read_dir(root.join(part)).expect("the sample folder is readable") {
            let entry = entry.expect("the sample folder is readable");
            let name = format!("{part}/{}", entry.file_name().into_string().expect("the sample folder is readable"));
            files.insert(name, std::fs::read(entry.path()).expect("the sample folder is readable"));
        }
    }
    files
}

#[test]
fn samples_are_without_error() {
    let set = PolicySet::parse(&folder()).unwrap();
    let warnings: Vec<_> = set.warnings().iter().map(ToString::to_string).collect();
    // Whose measurements would they be? Profiles of hardware are for their users to complete.
    let unmet = [(20, "node-snp", "measurements"), (28, "node-tdx", "mrtds"), (36, "node-nitro", "pcrs")];
    let expected = unmet.map(|(line, name, key)| {
        format!("attestation.toml:{line}:{}: warning: The profile `{name}` has no value in `{key}`: its evidence would be compared with nothing, and can never be better than contraindicated. Nobody can show it until a value stands here.", key.len() + 4)
    });
    assert_eq!(warnings, expected);
    let regions: Vec<_> = set.regions().values().map(|r| (r.region.as_str(), r.jurisdiction.as_str())).collect();
    assert_eq!(regions, [("eu-north", "eu"), ("eu-west", "eu"), ("us-east", "us")]);
}

#[test]
fn tenants_get_the_tasks_of_their_purposes() {
    let set = PolicySet::parse(&folder()).unwrap();
    let kinds = |region: &str, tenant: &str| -> Vec<TaskKind> {
        let tasks = set.tasks_for(&region.parse().unwrap(), &tenant.parse().unwrap());
        tasks.iter().map(|task| task.spec.kind()).collect()
    };
    assert_eq!(kinds("eu-west", "demo-platform"), TaskKind::ALL[..4]);
    assert_eq!(kinds("us-east", "demo-platform"), TaskKind::ALL);
    assert_eq!(kinds("eu-west", "nordlys-clips"), TaskKind::ALL[..3]);
    assert_eq!(kinds("us-east", "nordlys-clips"), []);
    assert_eq!(kinds("eu-west", "nobody"), []);
    assert!(!set.admits(&"us-east".parse().unwrap(), &"nordlys-clips".parse().unwrap()));
}

#[test]
fn one_byte_is_another_digest() {
    let files = folder();
    let digest = PolicySet::parse(&files).unwrap().digest();
    for name in files.keys() {
        let mut other = files.clone();
        other.get_mut(name).unwrap().push(b'\n');
        assert_ne!(PolicySet::parse(&other).unwrap().digest(), digest, "{name}");
    }
}
