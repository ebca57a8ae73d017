use std::time::Duration;

use proptest::prelude::*;

use attest::AdmissionMode;

use super::*;
use crate::attester::EvidenceChoice;
use crate::attester::tpm::TpmOptions;

const REGION: &str = include_str!("../../../deploy/config/region.toml");
const CENTRE: &str = include_str!("../../../deploy/config/centre.toml");
const BOTH: &str = include_str!("../../../deploy/config/both.toml");

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("etc/siwa.toml")).map_err(|error| error.to_string())
}

#[test]
fn the_region_sample_parses() {
    let config = parse(REGION).unwrap();
    assert_eq!(config.limits.http, Limits::default());
    assert_eq!((config.limits.sessions_max, config.limits.catalogue_bytes_max), (100_000, 64 << 20));
    assert_eq!(config.limits.identity, IdentityLimits::default());
    assert_eq!(config.listen.region, Some(([0, 0, 0, 0], 8443).into()));
    assert_eq!(config.tls.client_ca.as_deref(), Some(Path::new("etc/tls/platforms-ca.pem")));
    assert_eq!(config.centre.map(|centre| centre.name), None);
    let region = config.region.unwrap();
    assert_eq!((region.region.as_str(), region.node.as_str()), ("eu-west", "eu-west-1"));
    assert_eq!(region.store, Path::new("etc/state/node.sqlite"));
    assert_eq!((region.centre.name.as_str(), region.centre.pull_interval_ms), ("siwa-centre", 30_000));
    let attestation = AttestationOptions { evidence: EvidenceChoice::Auto, ..AttestationOptions::default() };
    assert_eq!(region.attestation, attestation);
    assert_eq!((config.digest, region.centre.admission), (Digest::of(REGION.as_bytes()), AdmissionMode::Attested));
    assert_eq!(region.tenants[0].tenant.as_str(), "demo-platform");
    assert_eq!((region.tenants[0].api_keys.len(), region.tenants[0].certificates.len()), (1, 1));
}

#[test]
fn the_centre_sample_parses() {
    let centre = parse(CENTRE).unwrap().centre.unwrap();
    let mut nodes: Vec<_> = centre.nodes.iter().map(|node| (node.node.as_str(), node.region.as_str())).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, [("eu-west-1", "eu-west"), ("us-east-1", "us-east")]);
    assert_eq!(centre.tenants.keys().map(TenantId::as_str).collect::<Vec<_>>(), ["demo-platform"]);
    assert_eq!(
        (centre.admission, centre.attestation_key),
        (AdmissionMode::Attested, "etc/keys/attestation.key".into())
    );
    assert_eq!((centre.operators.len(), centre.training_grace_ms), (1, 60_000));
    assert_eq!((centre.policy_signers.threshold(), centre.policy_interval_ms), (1, 30_000));
}

#[test]
fn who_signs_policies_is_said_and_can_be_met() {
    let line = REGION.lines().find(|line| line.starts_with("policy_keys = ")).unwrap();
    let key = line.split('"').nth(1).unwrap();
    let with = |other: &str| parse(&REGION.replace(line, other));
    let signers =
        with(&format!("policy_keys = [\"{key}\"]\npolicy_threshold = 1")).unwrap().region.unwrap().policy_signers;
    let read: Vec<String> = signers.keys().iter().map(ToString::to_string).collect();
    assert_eq!((read, signers.threshold()), (vec![key.to_owned()], 1));
    for (other, told) in [
        (String::new(), "missing field `policy_keys`"),
        ("policy_keys = []".to_owned(), "`policy_keys`: a bundle names 1 to 16 keys"),
        (format!("policy_keys = [\"{key}\", \"{key}\"]"), "`policy_keys`: a key stands here twice"),
        (format!("policy_keys = [\"{key}\"]\npolicy_threshold = 2"), "`policy_keys`: the threshold is 1 at least"),
        (format!("policy_keys = [\"x{key}\"]"), "`policy_keys`: the key's hash is not that of its name and key"),
    ] {
        let error = with(&other).map(|_| ()).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn the_sample_of_a_region_offers_the_identity_service() {
    let identity = parse(REGION).unwrap().region.unwrap().identity.unwrap();
    let expected = IdentityConfig {
        folder: "etc/state/identity".into(),
        operator_key: "etc/keys/operator.secret".into(),
        issuer: "https://eu-west.example".to_owned(),
        issuers_ca: Some("etc/tls/issuers-ca.pem".into()),
    };
    assert_eq!(identity, expected);
    assert_eq!(parse(BOTH).unwrap().region.unwrap().identity, None, "and another does without");
}

#[test]
fn a_region_says_how_it_attests() {
    let with = |section: &str| parse(&REGION.replace("evidence = \"auto\"", section));
    let attestation = |section: &str| with(section).unwrap().region.unwrap().attestation;
    assert_eq!(attestation(""), AttestationOptions::default());
    let software = AttestationOptions { evidence: EvidenceChoice::Software, ..AttestationOptions::default() };
    assert_eq!(attestation("evidence = \"software\""), software);
    let tpm = AttestationOptions { evidence: EvidenceChoice::Tpm, ..AttestationOptions::default() };
    assert_eq!(attestation("evidence = \"tpm\""), tpm);
    let options = TpmOptions {
        tcti: "swtpm:host=127.0.0.1,port=2321".parse().unwrap(),
        enrolment: Some("etc/state/enrolment.jws".into()),
        intermediates: Some("/srv/tpm.pem".into()),
        boot_log: Some("etc/boot.log".into()),
        ima_log: Some("etc/ima.log".into()),
    };
    let section = "evidence = \"tpm\"\ntcti = \"swtpm:host=127.0.0.1,port=2321\"\nenrolment = \"state/enrolment.jws\"\n\
                   intermediates = \"/srv/tpm.pem\"\nboot_log = \"boot.log\"\nima_log = \"ima.log\"\n";
    assert_eq!(attestation(section), AttestationOptions { tpm: Some(options.clone()), ..tpm });
    let auto = TpmOptions { enrolment: Some("etc/e".into()), ..TpmOptions::default() };
    assert_eq!(attestation("enrolment = \"e\"").tpm, Some(auto), "the best that is there, also a TPM");
    let of_machine = AttestationOptions {
        evidence: EvidenceChoice::Tdx,
        collateral: Some("etc/c".into()),
        certificates: Some("etc/d".into()),
        tpm: None,
    };
    assert_eq!(attestation("evidence = \"tdx\"\ncollateral = \"c\"\ncertificates = \"d\""), of_machine);
    let error = with("evidence = \"software\"\nima_log = \"ima.log\"").unwrap_err();
    assert!(
        error.ends_with("keys of a TPM stand here, and `evidence` is of another kind: the TPM would not be looked at")
    );
    assert!(with("evidence = \"none\"").unwrap_err().contains("unknown variant `none`"));
    assert!(with("evidenc = \"auto\"").unwrap_err().contains("unknown field `evidenc`"));
    let error = with("tcti = \"tcp\"").unwrap_err();
    assert!(
        error.contains("a TPM is device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321, on this machine"),
        "{error}"
    );
}

#[test]
fn the_content_oracle_has_limits_and_folders() {
    let with = |section: &str| parse(&REGION.replace("[[region.tenants]]", &format!("{section}\n[[region.tenants]]")));
    let content = |section: &str| with(section).unwrap().region.unwrap().content;
    assert_eq!(content(""), None);
    assert_eq!(content("[region.content]"), Some(ContentOptions::default()));
    let limits = crate::region::ContentLimits {
        upload_bytes_max: 1_000_000,
        uploads_bytes_max: 2_000_000,
        streams_of_tenant_max: 3,
        stream_idle_ms: 5000,
        checks_queue_max: 7,
    };
    let expected = ContentOptions { limits, lists: Some("etc/lists".into()), pictures: Some("/srv/pictures".into()) };
    let section = "[region.content]\nupload_bytes_max = 1000000\nuploads_bytes_max = 2000000\nchecks_queue_max = 7\n\
                   streams_of_tenant_max = 3\nstream_idle_ms = 5000\n\
                   lists = \"lists\"\npictures = \"/srv/pictures\"\n";
    assert_eq!(content(section), Some(expected));
    let error = with("[region.content]\nuploads_bytes_max = 2048\n").unwrap_err();
    assert!(
        error.ends_with("`uploads_bytes_max` is for all uploads at once: it has room for one of `upload_bytes_max`")
    );
    for (key, sentence) in [
        ("upload_bytes_max = 1", "this is a whole number from 1024 to 1073741824"),
        ("uploads_bytes_max = 0", "this is a whole number from 1024 to 68719476736"),
        ("streams_of_tenant_max = 0", "this is a whole number from 1 to 65536"),
        ("stream_idle_ms = 99", "this is a whole number from 100 to 86400000"),
        ("checks_queue_max = 0", "this is a whole number from 1 to 65536"),
        ("uploads_max = 1", "unknown field `uploads_max`"),
    ] {
        let error = with(&format!("[region.content]\n{key}\n")).unwrap_err();
        assert!(error.contains(sentence), "{error}");
    }
}

#[test]
fn the_sample_of_both_parses_and_its_parts_fit() {
    let config = parse(BOTH).unwrap();
    let (region, centre) = (config.region.unwrap(), config.centre.unwrap());
    assert_eq!(region.centre.name, centre.name);
    assert!(centre.nodes.iter().any(|node| node.node == region.node && node.region == region.region));
}

#[test]
fn limits_are_read_with_their_units() {
    let text = CENTRE.replace("[centre]\n", "[limits]\nheader_timeout_ms = 250\nconnections_max = 3\n\n[centre]\n");
    let http = parse(&text).unwrap().limits.http;
    let expected = Limits { header_timeout: Duration::from_millis(250), connections_max: 3, ..Limits::default() };
    assert_eq!(http, expected);
}

#[test]
fn mistakes_are_told_with_file_line_and_sentence() {
    let second_tenant = "\n[[region.tenants]]\ntenant = \"other\"\n";
    let again = "[[region.tenants]]\ntenant = \"demo-platform\"\napi_keys_sha256 = []\n";
    let hash = "1111111111111111111111111111111111111111111111111111111111111111";
    let key = "kx-N82gkhZDeNftqmbZS-IuG5MAfyM-lVpbJXWewXQY";
    for (text, expected) in [
        (String::new(), "etc/siwa.toml:1: missing field `listen`"),
        (REGION.replace("sessions_max", "session_max"), "etc/siwa.toml:20: unknown field `session_max`"),
        (REGION.replace("= 4096", "= 0"), "etc/siwa.toml:14: this is a whole number from 1 to 1000000"),
        (REGION.replace("= 5000", "= \"5 s\""), "etc/siwa.toml:16: this is a whole number from 1 to 600000"),
        (
            REGION.replace("\"auto\"", "\"none\""),
            "etc/siwa.toml:49: unknown variant `none`, expected one of `auto`, `software`, `tpm`",
        ),
        (
            REGION.replace("\"attested\"", "\"token\""),
            "etc/siwa.toml:41: unknown variant `token`, expected `attested` or `pinned-key`",
        ),
        (
            CENTRE.replace("\"attested\"", "\"pinned-key\"").replace("key = \"FqN", "# \"FqN"),
            "etc/siwa.toml:36: `admission` is \"pinned-key\", and this node has no `key`",
        ),
        (REGION.replace("\"eu-west\"", "\"EU West\""), "etc/siwa.toml:26: a region name is 1 to 63 of"),
        (REGION.replace("[tls]", "[tls"), "etc/siwa.toml:8: "),
        (REGION.replace("url = \"https:", "url = \"http:"), "etc/siwa.toml:36: `url` is of the form"),
        (REGION.replace("region = \"0.0.0.0:8443\"", ""), "etc/siwa.toml:4: `region` is missing"),
        (
            CENTRE.replace("centre = \"0.0", "region = \"1.1.1.1:1\"\ncentre = \"0.0"),
            "etc/siwa.toml:4: `region` has an",
        ),
        (REGION.replace("client_ca", "# client_ca"), "etc/siwa.toml:57: client certificates need [tls] `client_ca`"),
        (format!("{REGION}{second_tenant}"), "etc/siwa.toml:68: this tenant has no API key and no client certificate"),
        (format!("{REGION}{again}"), "etc/siwa.toml:67: this tenant stands here twice"),
        (
            format!("{REGION}{second_tenant}api_keys_sha256 = [\"{hash}\"]\n"),
            "etc/siwa.toml:68: a credential stands here twice",
        ),
        (REGION.replace("= \"https://eu-west", "= \"http://eu-west"), "etc/siwa.toml:65: `issuer` is of the form"),
        (
            REGION.replace("keys/operator.secret", "state/identity/operator.secret"),
            "etc/siwa.toml:64: the operator key stands in the folder that it seals",
        ),
        (CENTRE.replace("us-east-1", "eu-west-1"), "etc/siwa.toml:36: two nodes have the same name or the same key"),
        (CENTRE.replace(key, "short"), "etc/siwa.toml:44: "),
        (
            CENTRE.replace("3333333333333333333333333333333333333333333333333333333333333333", hash),
            "etc/siwa.toml:21: an operator's key is also a tenant's",
        ),
        (
            BOTH.replace("state/centre", "state/node"),
            "etc/siwa.toml:36: the region and the centre have the same `store`",
        ),
    ] {
        let error = parse(&text).map(|_| "it parsed").unwrap_err();
        assert!(error.starts_with(expected), "{error}\nexpected {expected}");
    }
}

#[test]
fn without_a_role_there_is_nothing_to_do() {
    let text = "[listen]\nadmin = \"127.0.0.1:1\"\n[tls]\ncertificate = \"a\"\nkey = \"b\"\n";
    assert!(parse(text).map(|_| "it parsed").unwrap_err().contains("nothing to do"));
}

#[test]
fn a_file_is_read_and_a_missing_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("siwa.toml");
    let missing = Config::load(&file).map(|_| "it was read").unwrap_err();
    assert_eq!(missing.line(), None);
    assert!(missing.to_string().contains("siwa.toml: cannot be read"), "{missing}");
    std::fs::write(&file, CENTRE).unwrap();
    assert_eq!(Config::load(&file).unwrap().tls.key, folder.path().join("tls/centre.key"));
}

proptest! {
    /// A mistake anywhere is refused with a line of the file, or does no harm; nothing panics.
    #[test]
    fn any_damage_is_refused_or_parsed(sample in 0..3usize, at in any::<prop::sample::Index>(), text in ".{0,20}") {
        let sample = [REGION, CENTRE, BOTH][sample];
        let at = at.index(sample.len());
        let damaged = format!("{}{text}{}", &sample[..at], &sample[at..]);
        if let Err(error) = Config::parse(&damaged, Path::new("siwa.toml")) {
            prop_assert!(error.line().is_none_or(|line| (1..=damaged.lines().count() + 1).contains(&line)));
        }
    }
}

#[test]
fn the_transparency_log_is_configured_on_both_sides() {
    let log = parse(CENTRE).unwrap().centre.unwrap().log;
    assert_eq!((log.folder.as_path(), log.key.as_path()), (Path::new("etc/state/log"), Path::new("etc/keys/log.key")));
    assert_eq!((log.origin.as_str(), log.interval_ms, log.witnesses_min), ("siwa-centre/log", 100, 1));
    let [witness] = log.witnesses.as_slice() else { panic!("one witness") };
    assert_eq!(witness.url, "https://witness.example:8443");
    assert_eq!(witness.ca.as_deref(), Some(Path::new("etc/tls/witness-ca.pem")));
    let keys = parse(REGION).unwrap().region.unwrap().centre.log;
    assert_eq!((keys.origin(), keys.witnesses_min()), ("siwa-centre/log", 1));
    assert_eq!(keys.witnesses(), std::slice::from_ref(&witness.key));
    assert_eq!(parse(BOTH).unwrap().region.unwrap().centre.log, keys.without_witnesses());

    let region = |from: &str, to: &str| parse(&REGION.replace(from, to)).unwrap_err();
    assert!(region("[region.centre.log]", "[region.centre.logs]").contains("unknown field `logs`"));
    let error = region("witnesses_min = 1", "witnesses_min = 2");
    assert!(error.ends_with("more witnesses must sign than there are, or there are more than 32"), "{error}");
    let error = region("siwa-centre/log+2c6f6cca", "siwa-centre/log+2c6f6ccb");
    assert!(error.contains("the key's hash is not that of its name and key"), "{error}");
    let centre = |from: &str, to: &str| parse(&CENTRE.replace(from, to)).unwrap_err();
    let error = centre("origin = \"siwa-centre/log\"", "origin = \"siwa centre\"");
    assert!(error.contains("`origin` names a key"), "{error}");
    assert!(centre("witnesses_min = 1", "witnesses_min = 2").contains("more witnesses must sign than there are"));
    let without = BOTH.replace("[region.centre.log]\n", "").replace("key = \"siwa-centre/log", "name2 = \"x");
    assert!(parse(&without).is_err(), "a node pins its centre's log");
}
