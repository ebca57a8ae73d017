use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::sync::LazyLock;

use hex_literal::hex;
use policies::Digest;
use policies::rules::Status;
use proptest::prelude::*;
use rcgen::KeyUsagePurpose;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::key_description::{Application, Authorizations, DESCRIPTION_BYTES_MAX, ELEMENTS_MAX, RootOfTrust};
use super::*;
use crate::device::made::{Authority, NOW_MS, der, explicit, extension, integer, octets, params, sequence, set};

const NAME: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 1, 17];
const SIGNER: [u8; 32] = [0x51; 32];

fn enumerated(value: u8) -> Vec<u8> {
    der(&[10], &[value])
}

/// A description as a device would write it; tests change its parts.
#[derive(Clone)]
struct Written {
    version: u64,
    attested_in: u8,
    kept_in: u8,
    challenge: Vec<u8>,
    software: BTreeMap<u16, Vec<u8>>,
    hardware: BTreeMap<u16, Vec<u8>>,
}

fn root_of_trust(locked: bool, state: u8) -> Vec<u8> {
    let locked = der(&[1], &[if locked { 0xff } else { 0 }]);
    sequence(&[octets(&[0xb0; 32]), locked, enumerated(state), octets(&[0xb1; 32])])
}

fn app(packages: &[&str], signers: &[[u8; 32]]) -> Vec<u8> {
    let packages: Vec<_> = packages.iter().map(|name| sequence(&[octets(name.as_bytes()), integer(1 << 40)])).collect();
    let signers: Vec<_> = signers.iter().map(|digest| octets(digest)).collect();
    octets(&sequence(&[set(&packages), set(&signers)]))
}

impl Written {
    fn good() -> Self {
        let software = [(701, integer(1_700_000_000_000)), (709, app(&["app.siwa.example"], &[SIGNER]))];
        let hardware = [
            (1, set(&[integer(2), integer(3)])),
            (2, integer(3)),
            (503, der(&[5], &[])),
            (702, integer(0)),
            (704, root_of_trust(true, 0)),
            (705, integer(160_000)),
            (706, integer(202_606)),
            (718, integer(20_260_605)),
            (719, integer(20_260_601)),
        ];
        Self {
            version: 400,
            attested_in: 1,
            kept_in: 2,
            challenge: b"nonce".to_vec(),
            software: software.into(),
            hardware: hardware.into(),
        }
    }

    fn der(&self) -> Vec<u8> {
        let list = |fields: &BTreeMap<u16, Vec<u8>>| {
            sequence(&fields.iter().map(|(number, inner)| explicit(*number, inner)).collect::<Vec<_>>())
        };
        sequence(&[
            integer(self.version),
            enumerated(self.attested_in),
            integer(300),
            enumerated(self.kept_in),
            octets(&self.challenge),
            octets(b"unique"),
            list(&self.software),
            list(&self.hardware),
        ])
    }

    fn read(&self) -> Result<KeyDescription, DescriptionError> {
        KeyDescription::read(&self.der())
    }
}

fn values() -> AndroidValues {
    AndroidValues {
        packages: BTreeSet::from(["app.siwa.example".to_owned(), "app.siwa.other".to_owned()]),
        signers: BTreeSet::from([Digest::from_bytes(SIGNER)]),
        security_min: KeySecurity::TrustedEnvironment,
        patch_level_min: 202_601,
    }
}

/// The sentences that decide, unless all is well.
fn failing(written: &Written, values: &AndroidValues) -> Vec<String> {
    let claims = compare(&written.read().unwrap(), values);
    assert_eq!(claims.len(), 6);
    claims.into_iter().filter(|claim| claim.status > Status::Affirming).map(|claim| claim.sentence).collect()
}

struct Chains {
    root: Authority,
    intermediate: Authority,
}

impl Chains {
    fn new() -> Self {
        let root = Authority::root("root");
        let intermediate = root.intermediate("factory", |_| ());
        Self { root, intermediate }
    }

    fn evidence(&self, leaf: &rcgen::Certificate, whole: bool) -> AndroidEvidence {
        let mut chain = vec![leaf.der().to_vec().into(), self.intermediate.certificate.der().to_vec().into()];
        if whole {
            chain.push(self.root.certificate.der().to_vec().into());
        }
        AndroidEvidence { chain }
    }

    fn described(&self, description: Vec<u8>) -> AndroidEvidence {
        let mut params = params("Android Keystore Key");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions = vec![extension(NAME, description)];
        self.evidence(&self.intermediate.leaf(&params).certificate, true)
    }
}

#[test]
fn a_genuine_device_is_affirmed() {
    let chains = Chains::new();
    let evidence = chains.described(Written::good().der());
    let found = verify(&evidence, &chains.root.anchors(), NOW_MS).unwrap();
    let purposes = Some(BTreeSet::from([2, 3]));
    let root_of_trust =
        RootOfTrust { boot_key: vec![0xb0; 32], locked: true, state: BootState::Verified, boot_hash: vec![0xb1; 32] };
    let application = Application {
        packages: vec![("app.siwa.example".to_owned(), 1 << 40)],
        signers: BTreeSet::from([Digest::from_bytes(SIGNER)]),
    };
    let claims = KeyDescription {
        attested_in: KeySecurity::TrustedEnvironment,
        kept_in: KeySecurity::StrongBox,
        challenge: b"nonce".to_vec(),
        software: Authorizations { application: Some(application), ..Authorizations::default() },
        hardware: Authorizations {
            purposes,
            origin: Some(0),
            root_of_trust: Some(root_of_trust),
            os_version: Some(160_000),
            os_patch_level: Some(202_606),
            application: None,
            vendor_patch_level: Some(20_260_605),
            boot_patch_level: Some(20_260_601),
        },
    };
    assert_eq!(found, Found { bound: b"nonce".to_vec(), tier: Tier::Hardware, claims });
    assert_eq!(failing(&Written::good(), &values()), Vec::<String>::new());
    let subjects: Vec<_> = compare(&found.claims, &values()).into_iter().map(|claim| claim.subject).collect();
    use Subject::{Configuration, Executables, Hardware, InstanceIdentity};
    assert_eq!(subjects, [Hardware, InstanceIdentity, Configuration, Configuration, Executables, Executables]);
    // The anchor itself may be left out.
    let short = AndroidEvidence { chain: evidence.chain[..2].to_vec() };
    assert_eq!(verify(&short, &chains.root.anchors(), NOW_MS).map(|found| found.tier), Ok(Tier::Hardware));
}

#[test]
fn every_value_decides() {
    let good = Written::good();
    let without = |number: u16| {
        let mut written = good.clone();
        assert!(written.hardware.remove(&number).or_else(|| written.software.remove(&number)).is_some());
        written
    };
    let hardware = |number: u16, inner: Vec<u8>| {
        let mut written = good.clone();
        written.hardware.insert(number, inner);
        written
    };
    let apps = |inner: Vec<u8>| {
        let mut written = good.clone();
        written.software.insert(709, inner);
        written
    };
    // A root of trust by the system's own word.
    let mut by_its_word = without(704);
    by_its_word.software.insert(704, root_of_trust(true, 0));
    let mut app_in_hardware = without(709);
    app_in_hardware.hardware.insert(709, app(&["app.siwa.example"], &[SIGNER]));
    let attested = |attested_in: u8, kept_in: u8| Written { attested_in, kept_in, ..good.clone() };
    let software =
        "The key is kept or attested in software; the policy asks for a trusted execution environment at least.";
    let origin = "The key was not made in the device's secure hardware.";
    let system = "The device booted a system that is not its manufacturer's.";
    let no_root = "The secure hardware does not say how the device booted.";
    let package = "The name of the app's package is none of the policy's reference values.";
    let signer = "The certificate that signs the app is none of the policy's reference values.";
    let no_app = [
        "The evidence does not tell the name of the app's package.",
        "The evidence does not tell the certificate that signs the app.",
    ];
    let cases: [(Written, &[&str]); 17] = [
        (attested(0, 1), &[software]),
        (attested(1, 0), &[software]),
        (hardware(702, integer(2)), &[origin]),
        (without(702), &[origin]),
        (hardware(1, set(&[integer(7)])), &["The key may attest other keys."]),
        (hardware(704, root_of_trust(false, 0)), &["The device's bootloader is unlocked."]),
        (hardware(704, root_of_trust(true, 1)), &[system]),
        (hardware(704, root_of_trust(false, 2)), &[system]),
        (hardware(704, root_of_trust(true, 3)), &[system]),
        (by_its_word, &[no_root]),
        (hardware(706, integer(202_512)), &["The system's patch level is older than the policy allows."]),
        (without(706), &["The secure hardware does not tell the patch level."]),
        (apps(app(&["app.siwa.fake"], &[SIGNER])), &[package]),
        (apps(app(&["app.siwa.example", "app.siwa.fake"], &[SIGNER])), &[package]),
        (apps(app(&["app.siwa.example"], &[SIGNER, [0xde; 32]])), &[signer]),
        (apps(app(&[], &[])), &no_app),
        (app_in_hardware, &no_app),
    ];
    for (written, sentences) in cases {
        assert_eq!(failing(&written, &values()), sentences);
    }
    assert_eq!(failing(&apps(app(&["app.siwa.other", "app.siwa.example"], &[SIGNER])), &values()), [""; 0]);
}

#[test]
fn no_reference_value_is_never_better_than_contraindicated() {
    let empty = AndroidValues { packages: BTreeSet::new(), signers: BTreeSet::new(), patch_level_min: 0, ..values() };
    let sentences = [
        "The policy has no oldest patch level of the system.",
        "The policy has no reference value for the name of the app's package.",
        "The policy has no reference value for the certificate that signs the app.",
    ];
    assert_eq!(failing(&Written::good(), &empty), sentences);
    // A policy that takes keys in software gets a warning for them.
    let lax = AndroidValues { security_min: KeySecurity::Software, ..values() };
    let software = Written { attested_in: 0, kept_in: 0, ..Written::good() };
    let warnings: Vec<_> =
        compare(&software.read().unwrap(), &lax).into_iter().filter(|claim| claim.status == Status::Warning).collect();
    assert_eq!(warnings, [Claim::warning(Subject::Hardware, "The key is kept in software, as the policy asks.")]);
    let strict = AndroidValues { security_min: KeySecurity::StrongBox, ..values() };
    let sentence = "The key is kept or attested in a trusted execution environment; the policy asks for a chip of its own at least.";
    assert_eq!(failing(&Written::good(), &strict), [sentence]);
}

#[test]
fn every_check_of_a_chain_refuses() {
    let chains = Chains::new();
    let anchors = chains.root.anchors();
    let good = chains.described(Written::good().der());
    let refusal = |evidence: &AndroidEvidence| verify(evidence, &anchors, NOW_MS).map(|_| ());
    let chain = |error: ChainError| Err(AndroidError::Chain(error));
    assert_eq!(refusal(&good), Ok(()));
    assert_eq!(refusal(&AndroidEvidence { chain: Vec::new() }), chain(ChainError::Malformed));
    let long = AndroidEvidence { chain: vec![good.chain[0].clone(); CHAIN_MAX + 1] };
    assert_eq!(refusal(&long), chain(ChainError::TooLong));
    // A leaf of another chain, under this chain's certificates.
    let foreign = Chains::new().described(Written::good().der());
    let mixed = AndroidEvidence { chain: [&foreign.chain[..1], &good.chain[1..]].concat() };
    assert_eq!(refusal(&mixed), chain(ChainError::Signature));
    assert_eq!(refusal(&foreign), chain(ChainError::Signature), "the same names, other keys");
    assert_eq!(refusal(&AndroidEvidence { chain: good.chain[..1].to_vec() }), chain(ChainError::UnknownIssuer));
    // Out of time, before and after.
    for (now_ms, error) in [(1_700_000_000_000, ChainError::NotYetValid), (1_900_000_000_000, ChainError::Expired)] {
        assert_eq!(verify(&good, &anchors, now_ms), Err(error.into()));
    }
    // Revoked: the intermediate's serial number, as Google's status list writes it.
    let mut profile = chains.root.profile(policies::rules::ReferenceValues::Android(values()));
    profile.revoked.insert("abc".to_owned());
    assert_eq!(verify(&good, &Anchors::of(&profile).unwrap(), NOW_MS), Err(ChainError::Revoked.into()));
    // No description, and none that is described twice over.
    let plain = chains.evidence(&chains.intermediate.leaf(&params("leaf")).certificate, false);
    assert_eq!(refusal(&plain), Err(AndroidError::NotDescribed));
    let mut twice = params("leaf");
    twice.custom_extensions = vec![extension(NAME, Written::good().der()), extension(NAME, Written::good().der())];
    let twice = chains.evidence(&chains.intermediate.leaf(&twice).certificate, false);
    assert_eq!(refusal(&twice), chain(ChainError::Malformed));
}

/// An app has its own key attested with the right to sign, and signs a leaf that claims another app.
#[test]
fn an_attested_key_attests_nothing() {
    let chains = Chains::new();
    let description = Written::good().der();
    let attested = chains.intermediate.intermediate("Android Keystore Key", |params| {
        params.custom_extensions = vec![extension(NAME, description.clone())];
    });
    let mut forged = params("forged");
    forged.custom_extensions = vec![extension(NAME, description)];
    let mut evidence = chains.evidence(&attested.leaf(&forged).certificate, false);
    evidence.chain.insert(1, attested.certificate.der().to_vec().into());
    assert_eq!(verify(&evidence, &chains.root.anchors(), NOW_MS), Err(AndroidError::DescribedTwice));
    // And without the forged description, nothing is said.
    let mut bare = chains.evidence(&attested.leaf(&params("bare")).certificate, false);
    bare.chain.insert(1, attested.certificate.der().to_vec().into());
    assert_eq!(verify(&bare, &chains.root.anchors(), NOW_MS), Err(AndroidError::DescribedTwice));
}

#[test]
fn a_description_has_one_form() {
    let good = Written::good();
    for version in [0, 1, 2, 5, 101, 500] {
        assert_eq!(Written { version, ..good.clone() }.read(), Err(DescriptionError::Version));
    }
    for version in [3, 4, 100, 200, 300, 400] {
        assert_eq!(Written { version, ..good.clone() }.read(), good.read());
    }
    let malformed = Err(DescriptionError::Malformed);
    assert_eq!(Written { attested_in: 3, ..good.clone() }.read(), malformed);
    assert_eq!(Written { kept_in: 3, ..good.clone() }.read(), malformed);
    let hardware = |number: u16, inner: Vec<u8>| {
        let mut written = good.clone();
        written.hardware.insert(number, inner);
        written.read()
    };
    assert_eq!(hardware(704, root_of_trust(true, 4)), malformed);
    assert_eq!(hardware(704, sequence(&[octets(&[0; 32])])), malformed);
    assert_eq!(hardware(706, octets(&[1])), malformed);
    assert_eq!(hardware(706, [integer(202_606), integer(202_606)].concat()), malformed);
    assert_eq!(hardware(1, set(&vec![integer(2); ELEMENTS_MAX + 1])), malformed);
    assert_eq!(hardware(999, vec![1, 2, 3]), good.read(), "a tag of a later version");
    let apps = |inner: Vec<u8>| {
        let mut written = good.clone();
        written.software.insert(709, inner);
        written.read()
    };
    assert_eq!(apps(app(&["x"; ELEMENTS_MAX + 1], &[])), malformed);
    assert_eq!(apps(app(&[&"x".repeat(257)], &[])), malformed);
    assert_eq!(apps(app(&[], &[SIGNER, SIGNER])), malformed, "a set holds each once");
    assert_eq!(apps(octets(&sequence(&[set(&[]), set(&[octets(&[1; 31])])]))), malformed);
    assert_eq!(apps(octets(&sequence(&[set(&[sequence(&[octets(&[0xff]), integer(1)])]), set(&[])]))), malformed);
    // A tag that stands twice, in either order.
    let root = explicit(704, &root_of_trust(false, 2));
    let bytes = good.der();
    let twice = {
        let written = Written { hardware: BTreeMap::new(), ..good.clone() };
        let list = sequence(&[explicit(704, &root_of_trust(true, 0)), root]);
        let head = written.der();
        // The empty list is the last field; its two bytes give way to another.
        sequence(&[head[4..head.len() - 2].to_vec(), list])
    };
    assert_eq!(KeyDescription::read(&twice), malformed);
    assert_eq!(KeyDescription::read(&[bytes.as_slice(), &[0]].concat()), malformed);
    assert_eq!(KeyDescription::read(&vec![0x30; DESCRIPTION_BYTES_MAX + 1]), Err(DescriptionError::TooLong));
    for end in 0..bytes.len() {
        assert_eq!(KeyDescription::read(&bytes[..end]), malformed);
    }
}

/// A chain of `shared/evidence`, or nothing and a word about it.
fn real(name: &str) -> Option<AndroidEvidence> {
    let path = format!("{}/../../shared/evidence/android/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = fs::read(&path) else {
        writeln!(std::io::stderr(), "SKIPPED: android::{name}: no ../shared/evidence beside the repository").unwrap();
        return None;
    };
    let chain = CertificateDer::pem_slice_iter(&text).map(|one| one.unwrap().to_vec().into()).collect();
    Some(AndroidEvidence { chain })
}

fn root_of(evidence: &AndroidEvidence) -> Anchors {
    Anchors::from_der(vec![CertificateDer::from(evidence.chain.last().unwrap().to_vec())])
}

/// What real devices wrote, at a time at which their chains were valid, in 2025 and 2026.
#[test]
fn real_chains_verify_in_their_time() {
    type Expected = (&'static str, u64, KeySecurity, &'static [u8], BootState, bool, [u64; 3]);
    let expected: [Expected; 4] = [
        // A device for development: unlocked, with a system of its own. Its chain is of the factory.
        (
            "TEE_EC_NONE",
            1_759_000_000_000,
            KeySecurity::TrustedEnvironment,
            b"challenge",
            BootState::Unverified,
            false,
            [90_000, 201_908, 201_809],
        ),
        (
            "TEE_EC_RKP",
            1_759_000_000_000,
            KeySecurity::TrustedEnvironment,
            b"d688d763-6118-4ca6-94b2-e6cd9ed7e4e4",
            BootState::Verified,
            true,
            [160_000, 202_511, 20_251_105],
        ),
        (
            "TEE_EC_2026_ROOT",
            1_772_000_000_000,
            KeySecurity::TrustedEnvironment,
            b"6417f92c-daef-4cc1-8828-5bb39338ffd5",
            BootState::Verified,
            true,
            [160_000, 202_602, 20_260_205],
        ),
        (
            "caiman_sdk36_SB_EC_RKP",
            1_759_000_000_000,
            KeySecurity::StrongBox,
            b"7ccac1ea-4845-482e-858d-f6fa9aa8c295",
            BootState::Verified,
            true,
            [160_000, 202_511, 20_251_105],
        ),
    ];
    for (name, now_ms, security, challenge, state, locked, levels) in expected {
        let Some(evidence) = real(name) else { return };
        let found = verify(&evidence, &root_of(&evidence), now_ms).unwrap();
        assert_eq!((found.bound.as_slice(), found.tier), (challenge, Tier::Hardware));
        let KeyDescription { attested_in, kept_in, hardware, software, .. } = found.claims.clone();
        let root = hardware.root_of_trust.clone().unwrap();
        assert_eq!((attested_in, kept_in, root.state, root.locked), (security, security, state, locked));
        let found_levels = [hardware.os_version, hardware.os_patch_level, hardware.vendor_patch_level];
        assert_eq!(found_levels, levels.map(Some));
        let signer = Digest::from_bytes(hex!("103938ee4537e59e8ee792f654504fb8346fc6b346d0bbc4415fc339fcfc8ec1"));
        let application = software.application.unwrap();
        assert_eq!(application.signers, BTreeSet::from([signer]));
        // A policy about this app affirms the locked ones, and says of the other why not.
        let values = AndroidValues {
            packages: application.packages.into_iter().map(|(name, _)| name).collect(),
            signers: BTreeSet::from([signer]),
            security_min: KeySecurity::TrustedEnvironment,
            patch_level_min: 201_901,
        };
        let claims = compare(&found.claims, &values);
        let worst = claims.iter().filter(|claim| claim.status > Status::Affirming).map(|claim| &*claim.sentence);
        let unlocked = ["The device booted a system that is not its manufacturer's."];
        assert_eq!(worst.collect::<Vec<_>>(), if locked { &[] } else { &unlocked as &[&str] });
        // Under another's root, it is nothing.
        let other = Authority::root("other").anchors();
        assert_eq!(verify(&evidence, &other, now_ms), Err(ChainError::UnknownIssuer.into()));
    }
}

/// On 2026-11-24 they are all out of time but the factory's, which ends in 2028; that its root's own certificate ended in
/// May 2026 does not matter, since anchors are keys.
#[test]
fn real_chains_run_out() {
    let today_ms = 1_795_478_400_000;
    for name in ["TEE_EC_RKP", "TEE_EC_2026_ROOT", "caiman_sdk36_SB_EC_RKP"] {
        let Some(evidence) = real(name) else { return };
        assert_eq!(verify(&evidence, &root_of(&evidence), today_ms), Err(ChainError::Expired.into()));
    }
    let Some(factory) = real("TEE_EC_NONE") else { return };
    assert_eq!(verify(&factory, &root_of(&factory), today_ms).map(|found| found.tier), Ok(Tier::Hardware));
    let later_ms = 1_850_000_000_000;
    assert_eq!(verify(&factory, &root_of(&factory), later_ms), Err(ChainError::Expired.into()));
}

/// Leaf and issuers of two devices do not mix, though their roots are one.
#[test]
fn a_real_leaf_needs_its_own_issuer() {
    let (Some(one), Some(other)) = (real("TEE_EC_RKP"), real("caiman_sdk36_SB_EC_RKP")) else { return };
    let mixed = AndroidEvidence { chain: [&one.chain[..1], &other.chain[1..]].concat() };
    assert_eq!(verify(&mixed, &root_of(&one), 1_759_000_000_000), Err(ChainError::UnknownIssuer.into()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever bit of a leaf changes, it is not this leaf any more.
    #[test]
    fn a_changed_leaf_is_refused(at: prop::sample::Index, bit in 0_u8..8) {
        let (chains, good) = &*GOOD;
        let mut leaf = good.chain[0].to_vec();
        let at = at.index(leaf.len());
        leaf[at] ^= 1 << bit;
        let mut changed = good.clone();
        changed.chain[0] = leaf.into();
        prop_assert!(matches!(verify(&changed, &chains.root.anchors(), NOW_MS), Err(AndroidError::Chain(_))));
    }
}

static GOOD: LazyLock<(Chains, AndroidEvidence)> = LazyLock::new(|| {
    let chains = Chains::new();
    let evidence = chains.described(Written::good().der());
    (chains, evidence)
});
