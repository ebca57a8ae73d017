//! Chains that this test makes: a root, an intermediate and a leaf of P-256.

use std::sync::OnceLock;

use policies::rules::{Anchor, ReferenceValues, SoftwareValues, Status};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
    date_time_ymd,
};
use webpki::ring::{ECDSA_P256_SHA256, ECDSA_P384_SHA384};

use super::*;

/// Within the life of every certificate here, which is that of 2026.
const NOW_MS: u64 = 1_780_000_000_000;

struct Chain {
    root: CertificateDer<'static>,
    root_pem: String,
    intermediate: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    /// A leaf that says it issues, and one signed by it.
    below_leaf: CertificateDer<'static>,
    other_root: CertificateDer<'static>,
}

fn params(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

fn authority(name: &str, serial: u64) -> CertificateParams {
    let mut params = params(name, serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn chain() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(|| {
        let [root_key, key, leaf_key, below_key, other_key] = [(); 5].map(|()| KeyPair::generate().unwrap());
        let root = authority("root", 1).self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(authority("root", 1), root_key);
        let intermediate = authority("intermediate", 0xab01).signed_by(&key, &root_issuer).unwrap();
        let issuer = Issuer::new(authority("intermediate", 0xab01), key);
        let mut leaf = params("leaf", 3);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = leaf.signed_by(&leaf_key, &issuer).unwrap();
        let below = params("below", 4).signed_by(&below_key, &Issuer::new(leaf, leaf_key)).unwrap();
        Chain {
            root_pem: root.pem(),
            root: root.der().clone(),
            intermediate: intermediate.der().clone(),
            leaf: certificate.der().clone(),
            below_leaf: below.der().clone(),
            other_root: authority("root", 1).self_signed(&other_key).unwrap().der().clone(),
        }
    })
}

fn check(
    anchors: &Anchors,
    leaf: &CertificateDer<'_>,
    over: &[CertificateDer<'_>],
    now_ms: u64,
) -> Result<(), ChainError> {
    anchors.verify(leaf, over, KeyUsage::server_auth(), &[ECDSA_P256_SHA256, ECDSA_P384_SHA384], now_ms)
}

fn anchors() -> Anchors {
    Anchors::from_der(vec![chain().root.clone()])
}

fn profile(pems: &[&str], revoked: &[&str]) -> Profile {
    let anchor = |pem: &&str| Anchor { path: "anchors/x.pem".to_owned(), pem: pem.as_bytes().to_vec() };
    Profile {
        name: "p".to_owned(),
        anchors: pems.iter().map(anchor).collect(),
        revoked: revoked.iter().map(|&serial| serial.to_owned()).collect(),
        status_best: Status::Affirming,
        values: ReferenceValues::Software(SoftwareValues::default()),
    }
}

#[test]
fn a_chain_leads_to_its_anchor() {
    let Chain { leaf, intermediate, root, .. } = chain();
    assert_eq!(check(&anchors(), leaf, std::slice::from_ref(intermediate), NOW_MS), Ok(()));
    let with_root = [intermediate.clone(), root.clone()];
    assert_eq!(check(&anchors(), leaf, &with_root, NOW_MS), Ok(()), "a root among the intermediates does no harm");
    let at_intermediate = Anchors::from_der(vec![intermediate.clone()]);
    assert_eq!(check(&at_intermediate, leaf, &[], NOW_MS), Ok(()), "an intermediate can be the anchor");
}

#[test]
fn every_check_refuses() {
    let Chain { leaf, intermediate, below_leaf, other_root, root, .. } = chain();
    let over = std::slice::from_ref(intermediate);
    assert_eq!(check(&anchors(), leaf, &[], NOW_MS), Err(ChainError::UnknownIssuer));
    assert_eq!(check(&Anchors::from_der(vec![]), leaf, over, NOW_MS), Err(ChainError::UnknownIssuer));
    let other = Anchors::from_der(vec![other_root.clone()]);
    assert_eq!(check(&other, leaf, over, NOW_MS), Err(ChainError::Signature), "a root of the same name");
    assert_eq!(check(&anchors(), leaf, over, 1_750_000_000_000), Err(ChainError::NotYetValid));
    assert_eq!(check(&anchors(), leaf, over, 1_800_000_000_000), Err(ChainError::Expired));
    assert_eq!(
        check(&anchors(), below_leaf, &[leaf.clone(), intermediate.clone()], NOW_MS),
        Err(ChainError::Usage),
        "a leaf issues nothing"
    );
    assert_eq!(check(&anchors(), root, &[], NOW_MS), Err(ChainError::Usage), "an authority is no leaf");
    let wrong_use = anchors().verify(leaf, over, KeyUsage::client_auth(), &[ECDSA_P256_SHA256], NOW_MS);
    assert_eq!(wrong_use, Err(ChainError::Usage));
    let other_algorithm = anchors().verify(leaf, over, KeyUsage::server_auth(), &[ECDSA_P384_SHA384], NOW_MS);
    assert_eq!(other_algorithm, Err(ChainError::Signature));
}

#[test]
fn what_is_too_long_is_not_looked_at() {
    let Chain { leaf, intermediate, .. } = chain();
    let many = vec![intermediate.clone(); INTERMEDIATES_MAX + 1];
    assert_eq!(check(&anchors(), leaf, &many, NOW_MS), Err(ChainError::TooLong));
    assert_eq!(check(&anchors(), leaf, &many[1..], NOW_MS), Ok(()));
    let long = CertificateDer::from(vec![0; CERTIFICATE_BYTES_MAX + 1]);
    assert_eq!(check(&anchors(), &long, &[], NOW_MS), Err(ChainError::TooLong));
    assert_eq!(check(&anchors(), leaf, &[long], NOW_MS), Err(ChainError::TooLong));
}

#[test]
fn revoked_serial_numbers_are_refused_wherever_they_stand() {
    let Chain { leaf, intermediate, root_pem, .. } = chain();
    let over = std::slice::from_ref(intermediate);
    for (revoked, expected) in
        [(&["ab01"][..], Err(ChainError::Revoked)), (&["3"], Err(ChainError::Revoked)), (&["4", "ab", "1ab01"], Ok(()))]
    {
        let anchors = Anchors::of(&profile(&[root_pem], revoked)).unwrap();
        assert_eq!(check(&anchors, leaf, over, NOW_MS), expected, "{revoked:?}");
    }
    let anchors = Anchors::of(&profile(&[root_pem], &["ff"])).unwrap();
    assert_eq!(anchors.check_revoked(b"no certificate"), Err(ChainError::Malformed));
}

#[test]
fn anchors_are_read_whole_or_not_at_all() {
    let pem = chain().root_pem.as_str();
    let read = |pems: &[&str]| Anchors::of(&profile(pems, &[])).map(|anchors| anchors.certificates().len());
    assert_eq!(read(&[]), Ok(0));
    assert_eq!(read(&[pem, &format!("{pem}{pem}")]), Ok(3));
    for broken in ["", "nothing", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"] {
        assert_eq!(read(&[pem, broken]), Err(AnchorError), "{broken}");
    }
}

#[test]
fn a_flipped_bit_of_a_certificate_is_refused() {
    let Chain { leaf, intermediate, .. } = chain();
    let over = std::slice::from_ref(intermediate);
    // Every byte that the signature covers or is: the whole certificate.
    for at in 0..leaf.len() {
        let mut bytes = leaf.to_vec();
        bytes[at] ^= 1;
        assert!(check(&anchors(), &CertificateDer::from(bytes), over, NOW_MS).is_err(), "byte {at}");
    }
    for length in 0..leaf.len() {
        let cut = CertificateDer::from(leaf[..length].to_vec());
        assert_eq!(check(&anchors(), &cut, over, NOW_MS), Err(ChainError::Malformed), "{length} bytes");
    }
}
