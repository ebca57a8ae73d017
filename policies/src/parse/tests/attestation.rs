//! Profiles of evidence, the anchors that they name, and who may show what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use proptest::prelude::*;

use super::{ACCESS, NORTH, WEST, all_findings, samples};
use crate::rules::{
    AndroidValues, AppAttestValues, AttestationRule, KeySecurity, Measurement, NitroValues, ReferenceValues,
    SevSnpValues, SgxValues, SnpTcb, SoftwareValues, Status, TdxValues, Tier, TpmValues, WebAuthnValues,
};
use crate::{Digest, Finding, PolicySet};

const FILE: &str = "attestation.toml";
const EVERY_KIND: &str = include_str!("../../../tests/fixtures/every-kind.toml");
const NAMES: [&str; 9] =
    ["a-nitro", "a-passkey", "a-sgx", "a-snp", "a-software", "a-tdx", "a-tpm", "an-android", "an-apple"];

/// The samples with a profile of every kind, named where it belongs.
fn every_kind() -> BTreeMap<String, String> {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let mut files: BTreeMap<_, _> = samples().into_iter().map(|(path, bytes)| (path, text(bytes))).collect();
    let mut change = |file: &str, from: &str, to: &str| {
        let text = files.get_mut(file).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        *text = text.replace(from, to);
    };
    change(WEST, "[\"node-software\"]", "[\"a-software\", \"a-tpm\", \"a-snp\", \"a-sgx\"]");
    change("regions/us-east.toml", "[\"node-software\"]", "[\"a-software\"]");
    change(NORTH, "[\"node-snp\", \"node-tdx\", \"node-nitro\"]", "[\"a-tdx\", \"a-nitro\"]");
    change(ACCESS, "[\"demo-android\", \"demo-ios\", \"demo-web\"]", "[\"an-android\", \"an-apple\", \"a-passkey\"]");
    files.remove("anchors/amd-genoa.pem");
    files.insert(FILE.to_owned(), EVERY_KIND.to_owned());
    files
}

fn findings(files: &BTreeMap<String, String>) -> Vec<Finding> {
    all_findings(&bytes(files))
}

fn bytes(files: &BTreeMap<String, String>) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect()
}

fn parsed(files: &BTreeMap<String, String>) -> PolicySet {
    PolicySet::parse(&bytes(files)).unwrap()
}

/// One line a change to the files with every kind, followed by what is found.
fn report(changes: &[(&str, &str, &str)]) -> String {
    let mut report = String::new();
    for (file, from, to) in changes {
        writeln!(report, "# {file}: {} -> {}", from.escape_debug(), to.escape_debug()).unwrap();
        let mut files = every_kind();
        let text = files.get_mut(*file).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        *text = text.replacen(from, to, 1);
        for finding in findings(&files) {
            writeln!(report, "{finding}").unwrap();
        }
    }
    report
}

fn hex32(digit: u8) -> Digest {
    Digest::from_bytes([digit << 4 | digit; 32])
}

fn hex48(digit: u8) -> Measurement {
    Measurement(vec![digit << 4 | digit; 48])
}

fn texts(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn values_are_what_is_written() {
    let set = parsed(&every_kind());
    assert_eq!(set.warnings(), []);
    let values: Vec<_> = set.profiles().values().map(|profile| (profile.name.as_str(), &profile.values)).collect();
    let expected = [
        ReferenceValues::Nitro(NitroValues { pcrs: [(0, [hex48(6)].into()), (8, [hex48(7)].into())].into() }),
        ReferenceValues::WebAuthn(WebAuthnValues {
            relying_party: "example.com".to_owned(),
            origins: texts(&["https://example.com", "https://www.example.com:8443"]),
            models: texts(&["00112233-4455-6677-8899-aabbccddeeff"]),
            unattested: true,
        }),
        ReferenceValues::Sgx(SgxValues {
            mrenclaves: [Measurement(vec![0x55; 32])].into(),
            tcb_statuses: texts(&["ConfigurationNeeded"]),
        }),
        ReferenceValues::SevSnp(SevSnpValues {
            measurements: [hex48(1)].into(),
            tcb_min: SnpTcb { bootloader: 4, tee: 0, snp: 22, microcode: 213 },
        }),
        ReferenceValues::Software(SoftwareValues { versions: texts(&["1.0.0", "1.1.0"]) }),
        ReferenceValues::Tdx(TdxValues {
            mrtds: [hex48(2)].into(),
            rtmrs: [(1, [hex48(3)].into()), (2, [hex48(4)].into())].into(),
            tcb_statuses: texts(&["OutOfDate", "SWHardeningNeeded"]),
        }),
        ReferenceValues::Tpm(TpmValues {
            pcrs: [(0, [hex32(10)].into()), (7, [hex32(11), hex32(12)].into())].into(),
            programs: [hex32(13)].into(),
        }),
        ReferenceValues::Android(AndroidValues {
            packages: texts(&["com.example.player"]),
            signers: [hex32(8)].into(),
            security_min: KeySecurity::StrongBox,
            patch_level_min: 202_512,
        }),
        ReferenceValues::AppAttest(AppAttestValues {
            app_ids: texts(&["A1B2C3D4E5.com.example.player"]),
            development: true,
        }),
    ];
    assert_eq!(values, NAMES.into_iter().zip(&expected).collect::<Vec<_>>());
    let snp = &set.profiles()["a-snp"];
    assert_eq!((snp.status_best, &snp.revoked), (Status::Warning, &texts(&["10000", "e1f2"])));
    let paths: Vec<_> = snp.anchors.iter().map(|anchor| anchor.path.as_str()).collect();
    assert_eq!(paths, ["anchors/amd-milan.pem", "anchors/amd-turin.pem"]);
    assert_eq!(set.profiles()["a-tdx"].status_best, Status::Affirming);
}

#[test]
fn regions_and_grants_name_profiles() {
    let set = PolicySet::parse(&samples()).unwrap();
    let rule = |region: &str| set.region(&region.parse().unwrap()).unwrap().attestation.clone();
    let hardware = AttestationRule {
        profiles: texts(&["node-nitro", "node-snp", "node-tdx"]),
        tier_min: Tier::Hardware,
        status_min: Status::Affirming,
        result_seconds: 300,
    };
    assert_eq!(rule("eu-north"), Some(hardware));
    let software = AttestationRule {
        profiles: texts(&["node-software"]),
        tier_min: Tier::Software,
        status_min: Status::Warning,
        result_seconds: 300,
    };
    assert_eq!((rule("eu-west"), rule("us-east")), (Some(software.clone()), Some(software)));
    let names = |region: &str| -> Vec<&str> {
        set.profiles_of(&region.parse().unwrap()).map(|profile| profile.name.as_str()).collect()
    };
    assert_eq!(names("eu-north"), ["node-nitro", "node-snp", "node-tdx"]);
    let grant = set.grant(&"us-east".parse().unwrap(), &"demo-platform".parse().unwrap()).unwrap();
    assert_eq!(grant.devices, texts(&["demo-android", "demo-ios", "demo-web"]));
    let other = set.grant(&"eu-north".parse().unwrap(), &"demo-platform".parse().unwrap()).unwrap();
    assert_eq!(other.devices, BTreeSet::new());
}

/// What manufacturers publish as the fingerprints of their roots.
#[test]
fn anchors_are_the_manufacturers() {
    let set = PolicySet::parse(&samples()).unwrap();
    let prints = |profile: &str| -> Vec<String> {
        let anchors = set.profiles()[profile].anchors.iter();
        anchors.flat_map(crate::Anchor::fingerprints).map(|digest| digest.to_string()[..16].to_owned()).collect()
    };
    assert_eq!(prints("node-snp"), ["69d063b45344d26a", "4c6598d19c18719c", "1f084161a44bb6d9"]);
    assert_eq!(prints("node-tdx"), ["44a0196b2b99f889"]);
    assert_eq!(prints("node-nitro"), ["641a0321a3e244ef"]);
    assert_eq!(prints("demo-android"), ["1ef1a04b8ba58ab9", "6d9db4ce6c5c0b29"]);
    assert_eq!(prints("demo-ios"), ["1cb9823ba28ba6ad"]);
    assert_eq!(prints("node-software"), [""; 0]);
}

#[test]
fn the_form_of_profiles_is_checked() {
    insta::assert_snapshot!(report(&[
        (FILE, "[[sev-snp]]", "[[sev]]"),
        (FILE, "[[sev-snp]]", "[sev-snp]"),
        (FILE, "name = \"a-snp\"\n", ""),
        (FILE, "name = \"a-snp\"", "name = \"A SNP\""),
        (FILE, "name = \"a-snp\"", "name = \"a-tdx\""),
        (FILE, "anchors = [\"anchors/intel-sgx.pem\"]\nmrtds", "mrtds"),
        (FILE, "anchors = [\"anchors/intel-sgx.pem\"]\nmrtds", "anchors = []\nmrtds"),
        (FILE, "versions = [\"1.0.0\", \"1.1.0\"]", "versions = [\"1.0.0\"]\nanchors = [\"anchors/intel-sgx.pem\"]"),
        (FILE, "status_best = \"warning\"", "status_best = \"none\""),
        (FILE, "microcode = 213", "microcode = 256"),
        (FILE, ", microcode = 213", ""),
        (FILE, "\"SWHardeningNeeded\"", "\"Revoked\""),
        (FILE, "\"SWHardeningNeeded\"", "\"UpToDate\""),
        (FILE, "\"strong-box\"", "\"strongbox\""),
        (FILE, "patch_level_min = 202512", "patch_level_min = 20251205"),
        (FILE, "pcrs = { 0", "pcrs = { 1 = [], 0"),
        (FILE, "pcrs = { 0", "pcrs = { 1 = 5, 0"),
        (FILE, "development = true", "development = \"yes\""),
        (FILE, "relying_party = \"example.com\"\n", ""),
        (WEST, "tier_min = \"software\"", "tier_min = \"none\""),
        (WEST, "status_min = \"warning\"", "status_min = \"contraindicated\""),
        (WEST, "result_seconds = 300", "result_seconds = 29"),
        (WEST, "result_seconds = 300", "result_seconds = 3601"),
        (WEST, "result_seconds = 300\n", ""),
        (NORTH, "[\"a-tdx\", \"a-nitro\"]", "[]"),
    ]));
}

#[test]
fn reference_values_are_checked() {
    let milan = "\"anchors/amd-milan.pem\"";
    insta::assert_snapshot!(report(&[
        (FILE, "\"1111", "\"111"),
        (FILE, "\"1111", "\"F111"),
        (FILE, "\"1111", "\"0x11"),
        (FILE, "\"1111", "\"ä111"),
        (FILE, "\"5555", "\"555555"),
        (FILE, "\"dddd", "\"ddd"),
        (FILE, "\"8888", "\"88:8"),
        (FILE, "pcrs = { 0 = [\"6666", "pcrs = { 0 = [\"666"),
        (FILE, "\"1.0.0\", \"1.1.0\"", "\"1.0.0\", \"1.0.0\""),
        (FILE, "\"1.0.0\"", "\"1.0 0\""),
        (FILE, "\"e1f2\"", "\"E1:F2\""),
        (FILE, "\"e1f2\"", "\"0e1f2\""),
        (FILE, "\"e1f2\"", "\"10000\""),
        (FILE, "rtmrs = { 1", "rtmrs = { 4"),
        (FILE, "rtmrs = { 1", "rtmrs = { 01"),
        (FILE, "pcrs = { 0 = [\"6666", "pcrs = { 9 = [\"6666"),
        (FILE, "com.example.player", "player"),
        (FILE, "com.example.player", "com.1example.player"),
        (FILE, "202512", "202513"),
        (FILE, "A1B2C3D4E5.com", "a1b2c3d4e5.com"),
        (FILE, "A1B2C3D4E5.com", "A1B2C3D4E5..com"),
        (FILE, "relying_party = \"example.com\"", "relying_party = \"https://example.com\""),
        (FILE, "\"https://example.com\"", "\"https://example.com/\""),
        (FILE, "\"https://example.com\"", "\"http://example.com\""),
        (FILE, "\"https://example.com\"", "\"https://badexample.com\""),
        (FILE, "\"https://example.com\"", "\"https://example.com:443\""),
        (FILE, "\"https://example.com\"", "\"https://Example.com\""),
        (FILE, "00112233-4455", "00112233-445G"),
        (FILE, milan, "\"anchors/amd-rome.pem\""),
        (FILE, milan, "\"../anchors/amd-milan.pem\""),
        (FILE, milan, "\"anchors/amd-turin.pem\""),
    ]));
}

#[test]
fn what_can_never_be_shown_is_said() {
    let software = (WEST, "\"a-software\", ", "");
    let empty = |list: &str| {
        let at = EVERY_KIND.find(list).unwrap();
        let end = EVERY_KIND[at..].find('\n').unwrap();
        EVERY_KIND[at..at + end].to_owned()
    };
    let (measurements, programs) = (empty("measurements = "), empty("programs = "));
    let nitro = empty("pcrs = { 0 = [\"6666");
    let (pcrs, rtmrs) = (empty("pcrs = { 0 = [\"aaaa"), empty("rtmrs = "));
    insta::assert_snapshot!(report(&[
        (FILE, &measurements, "measurements = []"),
        (FILE, &programs, "programs = []"),
        (FILE, &nitro, "pcrs = {}"),
        (FILE, "versions = [\"1.0.0\", \"1.1.0\"]", "versions = []"),
        (FILE, &pcrs, ""),
        (FILE, &rtmrs, ""),
        (FILE, "signers = [", "signers = []#"),
        (FILE, "unattested = true", "unattested = false"),
        (FILE, "models = [\"00112233-4455-6677-8899-aabbccddeeff\"]\nunattested = true", ""),
        (FILE, "anchors = [\"anchors/aws-nitro.pem\"]\nrelying_party", "relying_party"),
        (FILE, "anchors = [\"anchors/aws-nitro.pem\"]\nrelying_party", "anchors = []\nrelying_party"),
        (WEST, "tier_min = \"software\"", "tier_min = \"development\""),
        (WEST, "tier_min = \"software\"", "tier_min = \"hardware\""),
        (WEST, "status_min = \"warning\"", "status_min = \"affirming\""),
        (software.0, software.1, software.2),
        (NORTH, "\"a-tdx\"", "\"a-snp\""),
        (FILE, "name = \"a-nitro\"", "name = \"a-nitro\"\nstatus_best = \"contraindicated\""),
        (FILE, "name = \"an-apple\"", "name = \"an-apple\"\nstatus_best = \"contraindicated\""),
        (NORTH, "\"a-tdx\"", "\"a-tdxx\""),
        (NORTH, "\"a-tdx\"", "\"a-tdx\", \"a-tdx\""),
        (NORTH, "\"a-tdx\"", "\"an-android\""),
        (ACCESS, "\"an-android\"", "\"a-tpm\""),
        (ACCESS, "\"an-android\"", "\"nobody\""),
    ]));
}

/// Every register of a TPM, and some that there are not: only those that a restart alone resets can be named.
#[test]
fn registers_that_software_resets_prove_nothing() {
    for number in 0..=30_u8 {
        let mut files = every_kind();
        let text = EVERY_KIND.replacen("pcrs = { 0", &format!("pcrs = {{ {number}"), 1);
        files.insert(FILE.to_owned(), text);
        let found: Vec<String> = findings(&files).into_iter().map(|finding| finding.sentence).collect();
        let expected = match number {
            7 => "This stands here a second time: a setting, a section and a task of a kind may each stand once.".to_owned(),
            0..=9 | 11..=15 => String::new(),
            10 => "Register 10 holds what the kernel measured since the start, program after program, and no two starts agree: its log is replayed instead. Write the digest of the program in `programs`.".to_owned(),
            16..=23 => format!("Register {number} can be reset by software while the machine runs, and then be given any value: it proves nothing of what runs. Write registers 0 to 9 and 11 to 15, and the digest of the program in `programs`."),
            _ => format!("A TPM has the registers 0 to 23: `{number}` is none."),
        };
        assert_eq!(found, if expected.is_empty() { vec![] } else { vec![expected] }, "{number}");
    }
}

#[test]
fn without_the_file_no_profile_is_known() {
    let mut files = every_kind();
    files.remove(FILE);
    let mut found: Vec<String> = findings(&files).iter().map(ToString::to_string).collect();
    found.retain(|finding| !finding.starts_with("anchors/"));
    assert_eq!(found.len(), 10, "{found:?}");
    assert!(found.iter().all(|finding| finding.contains("is described in `attestation.toml`.")), "{found:?}");
}

proptest! {
    /// Any value of the right length is read as it is written, and none of another length is.
    #[test]
    fn measurements_are_read_exactly(value in prop::collection::vec(any::<u8>(), 40..56)) {
        let text: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut files = every_kind();
        files.insert(FILE.to_owned(), EVERY_KIND.replacen(&"1".repeat(96), &text, 1));
        let read = PolicySet::parse(&bytes(&files));
        prop_assert_eq!(read.is_ok(), value.len() == 48);
        if let Ok(set) = read {
            let ReferenceValues::SevSnp(values) = &set.profiles()["a-snp"].values else { panic!("another kind") };
            prop_assert_eq!(&values.measurements, &BTreeSet::from([Measurement(value)]));
        }
    }

    /// A region is refused exactly if it names what is not there, what nodes cannot show, or what can never be met.
    #[test]
    fn regions_hold_together(named in prop::sample::subsequence(NAMES.to_vec(), 1..=9), tier in 0..3_usize, affirming: bool) {
        let (tier, status) = (["software", "development", "hardware"][tier], if affirming { "affirming" } else { "warning" });
        let mut files = every_kind();
        let text = files[NORTH].replace("[\"a-tdx\", \"a-nitro\"]", &serde_json::json!(named).to_string());
        let text = text.replace("\"hardware\"", &format!("\"{tier}\"")).replace("\"affirming\"", &format!("\"{status}\""));
        files.insert(NORTH.to_owned(), text);
        let device = named.iter().any(|name| ["an-android", "an-apple", "a-passkey"].contains(name));
        let never = named.contains(&"a-software") && (tier != "software" || affirming);
        let read = PolicySet::parse(&bytes(&files));
        prop_assert_eq!(read.is_ok(), !device && !never, "{:?}", read.err());
        if let Ok(set) = read {
            let region = set.region(&"eu-north".parse().unwrap()).unwrap();
            prop_assert_eq!(&region.attestation.as_ref().unwrap().profiles, &texts(&named));
        }
    }
}
