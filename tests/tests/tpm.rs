//! TPM 2.0 against swtpm and tpm2-tools: their quotes and credentials by our verifier, ours by theirs.

mod emulator;
#[allow(dead_code, reason = "not every test needs all of an installation")]
mod installation;

use std::collections::{BTreeMap, BTreeSet};

use attest::enrolment::{Challenge, Credential, EnrolmentRequest};
use attest::evidence::Found;
use attest::evidence::chain::Anchors;
use attest::evidence::tpm::{self, Register, TpmClaims, TpmError, TpmEvidence};
use attest::jws::fuzz::fixed_key;
use attest::{Claim, enrolment};
use emulator::{Emulator, hexadecimal};
use installation::{Installation, Running};
use oracle::attester::tpm::{TpmAttester, TpmOptions};
use oracle::client::{Client, ClientOptions};
use oracle::clock::Clock;
use oracle::environment::StopPoint;
use policies::Digest;
use policies::rules::{Anchor, Profile, ReferenceValues, Status, Tier, TpmValues};
use rand_core::{OsRng, TryRngCore as _};
use serde_json::{Value, json};

/// The registers that tpm2_quote is asked for.
const QUOTED: [u8; 4] = [0, 7, 10, 16];
const SECRET: &[u8] = b"thirty-two bytes of some secret!";

fn profile(emulator: &Emulator, values: TpmValues) -> Profile {
    Profile {
        name: "emulators".to_owned(),
        anchors: vec![Anchor { path: "anchors/maker.pem".to_owned(), pem: emulator.read("ca/issuer.pem") }],
        revoked: BTreeSet::new(),
        status_best: Status::Affirming,
        values: ReferenceValues::Tpm(values),
    }
}

fn challenge(emulator: &Emulator, request: &EnrolmentRequest) -> (Challenge, Credential) {
    let profile = profile(emulator, TpmValues::default());
    let (now_ms, mut rng) = (Clock::system().now_ms(), OsRng.unwrap_err());
    Challenge::make(request, &profile, Digest::of(b"policy"), now_ms, &mut rng).expect("the TPM is the maker's")
}

fn verify(emulator: &Emulator, evidence: &TpmEvidence) -> Result<Found<TpmClaims>, TpmError> {
    let anchors = Anchors::of(&profile(emulator, TpmValues::default())).expect("they were written by swtpm-localca");
    tpm::verify(evidence, &anchors, &[fixed_key().verifying_key()], Clock::system().now_ms())
}

/// A quote by tpm2_quote over `extra`, by the key `ak.ctx`.
fn quoted(emulator: &Emulator, scheme: &str, extra: Digest, enrolment: &str) -> TpmEvidence {
    let list = QUOTED.map(|number| number.to_string()).join(",");
    emulator.tool(&format!(
        "tpm2_quote -c ak.ctx -l sha256:{list} -q {extra} -m quote.attest -s quote.sig -o quote.pcrs -g sha256 \
         --scheme {scheme}"
    ));
    emulator.tool(&format!("tpm2_pcrread sha256:{list} -o values"));
    let values = emulator.read("values");
    let register = |(number, value): (u8, &[u8])| Register {
        number,
        value: Digest::from_bytes(value.try_into().expect("32 bytes")),
    };
    TpmEvidence {
        attest: emulator.read("quote.attest").into(),
        signature: emulator.read("quote.sig").into(),
        ak_public: emulator.read_sized("ak.pub").into(),
        pcrs: QUOTED.into_iter().zip(values.chunks(32)).map(register).collect(),
        boot_log: None,
        ima_log: None,
        enrolment: enrolment.to_owned(),
    }
}

/// The form in which tpm2-tools keep a credential.
fn credential_file(credential: &Credential) -> Vec<u8> {
    let mut file = [0xbadc_c0de_u32, 1].map(u32::to_be_bytes).concat();
    for part in [&credential.id_object, &credential.encrypted_seed] {
        file.extend(u16::try_from(part.len()).expect("it is short").to_be_bytes());
        file.extend(&part[..]);
    }
    file
}

fn from_file(file: &[u8]) -> Credential {
    let part = |at: usize| {
        let size = usize::from(u16::from_be_bytes([file[at], file[at + 1]]));
        (file[at + 2..at + 2 + size].to_vec(), at + 2 + size)
    };
    let (id_object, next) = part(8);
    let (encrypted_seed, end) = part(next);
    assert_eq!((&file[..4], end), (&[0xba, 0xdc, 0xc0, 0xde][..], file.len()));
    Credential { id_object: id_object.into(), encrypted_seed: encrypted_seed.into() }
}

/// Enrols the key `ak.ctx` by tpm2_activatecredential; the statement.
fn enrolled_by_tools(emulator: &Emulator, kind: &str) -> String {
    let request = EnrolmentRequest {
        ek_certificates: vec![emulator.read(if kind == "rsa" { "rsa.der" } else { "ecc.der" }).into()],
        ek_public: emulator.read_sized("ek.pub").into(),
        ak_public: emulator.read_sized("ak.pub").into(),
    };
    let (challenge, credential) = challenge(emulator, &request);
    emulator.write("credential", &credential_file(&credential));
    emulator.tool_that_stays("tpm2_startauthsession --policy-session -S session.ctx");
    emulator.tool_that_stays("tpm2_policysecret -S session.ctx -c e");
    emulator.tool("tpm2_activatecredential -c ak.ctx -C ek.ctx -i credential -o secret -P session:session.ctx");
    challenge.finish(&emulator.read("secret"), &fixed_key(), Clock::system().now_ms()).expect("it opened ours")
}

/// Every kind of key: enrolled by our credential, which the TPM opened, and quoting by its own scheme.
#[test]
fn quotes_and_activation_by_tpm2_tools() {
    let Some(emulator) = Emulator::start("quotes_and_activation_by_tpm2_tools") else { return };
    emulator.tool("tpm2_nvread 0x1c00002 -o rsa.der");
    emulator.tool("tpm2_createek -c ek.ctx -G ecc -u ek.pub");
    let area = emulator.read_sized("ek.pub");
    let (x, y) = (&area[area.len() - 66..area.len() - 34], &area[area.len() - 32..]);
    emulator.certify_ecc(x, y);
    for (ek, ak, scheme) in [("rsa", "rsa", "rsassa"), ("rsa", "rsa", "rsapss"), ("ecc", "ecc", "ecdsa")] {
        emulator.tool(&format!("tpm2_createek -c ek.ctx -G {ek} -u ek.pub"));
        emulator.tool(&format!(
            "tpm2_createak -C ek.ctx -c ak.ctx -G {ak} -g sha256 -s {scheme} -u ak.pub -n ak.name -f tss"
        ));
        let statement = enrolled_by_tools(&emulator, ek);
        let extra = Digest::of(scheme.as_bytes());
        let before = quoted(&emulator, scheme, extra, &statement);
        let found = verify(&emulator, &before).expect("a quote of swtpm");
        assert_eq!((found.bound.as_slice(), found.tier), (&extra.as_bytes()[..], Tier::Development));
        let values: BTreeMap<u8, Digest> =
            before.pcrs.iter().map(|register| (register.number, register.value)).collect();
        assert_eq!(found.claims.pcrs.len(), 3, "register 16 can be set back");
        assert!(found.claims.pcrs.iter().all(|(number, value)| values[number] == *value));
        // A register changes: the old values do not fit the new quote, nor the new values the old quote.
        emulator.tool(&format!("tpm2_pcrextend 7:sha256={}", Digest::of(b"another boot")));
        let after = quoted(&emulator, scheme, extra, &statement);
        assert_ne!(before.pcrs, after.pcrs);
        let mixed = TpmEvidence { pcrs: before.pcrs.clone(), ..after.clone() };
        assert_eq!(verify(&emulator, &mixed), Err(TpmError::Registers));
        let mixed = TpmEvidence { pcrs: after.pcrs.clone(), ..before.clone() };
        assert_eq!(verify(&emulator, &mixed), Err(TpmError::Registers));
        assert_eq!(verify(&emulator, &after).map(|found| found.tier), Ok(Tier::Development));
        // A key of the same TPM that nobody enrolled.
        emulator.tool(&format!(
            "tpm2_createak -C ek.ctx -c ak.ctx -G {ak} -g sha256 -s {scheme} -u ak.pub -n ak.name -f tss"
        ));
        let foreign = quoted(&emulator, scheme, extra, &statement);
        assert_eq!(verify(&emulator, &foreign), Err(TpmError::NotEnrolled));
    }
    // A key that signs whatever it is given is no attestation key.
    emulator.tool("tpm2_createprimary -C e -c loose.ctx -G ecc:ecdsa -a fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign");
    emulator.tool("tpm2_readpublic -c loose.ctx -o loose.pub -f tss");
    let loose = emulator.read_sized("loose.pub");
    assert_eq!(tpm::AttestationKey::parse(&loose), Err(tpm::KeyError::Attributes));
}

/// An entry of the kernel's log in the template `ima-ng`, and what it extends register 10 by.
fn measured(content: &str, path: &str) -> (Vec<u8>, Digest) {
    let sized = |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("it is short").to_le_bytes()[..], bytes].concat();
    let digest = [b"sha256:\0", &Digest::of(content.as_bytes()).as_bytes()[..]].concat();
    let data = [sized(&digest), sized(&[path.as_bytes(), &[0]].concat())].concat();
    let entry = [&10_u32.to_le_bytes()[..], &[7; 20], &sized(b"ima-ng"), &sized(&data)].concat();
    (entry, Digest::of(&data))
}

fn failing(compared: &[Claim]) -> Vec<&str> {
    let failing = compared.iter().filter(|claim| claim.status != Status::Affirming);
    failing.map(|claim| claim.sentence.as_str()).collect()
}

#[tokio::test]
async fn our_client_enrols_and_attests() {
    let Some(emulator) = Emulator::start("our_client_enrols_and_attests") else { return };
    let entries = [measured("init", "/sbin/init"), measured("siwa", "/usr/bin/siwa")];
    for (_, extension) in &entries {
        emulator.tool(&format!("tpm2_pcrextend 10:sha256={extension}"));
    }
    // The kernel has gone on since.
    let later = measured("later", "/bin/sh").0;
    let log: Vec<u8> = entries.iter().flat_map(|(entry, _)| entry.clone()).collect();
    emulator.write("ima.log", &[log.clone(), later].concat());
    let options = TpmOptions {
        tcti: emulator.tcti().parse().expect("a TCTI"),
        ima_log: Some(emulator.file("ima.log")),
        ..TpmOptions::default()
    };
    let attester = TpmAttester::open(options).await.expect("it answers");
    let bound = Digest::of(b"a binding");
    let refused = attester.evidence(bound).await.map(drop).map_err(|error| error.to_string());
    assert_eq!(refused, Err("the TPM's attestation key is not enrolled".to_owned()));
    let request = attester.enrolment_request().await.expect("swtpm_setup wrote a certificate");
    let (challenge, credential) = challenge(&emulator, &request);
    let secret = attester.activate(credential).await.expect("the credential is for this TPM");
    let statement = challenge.finish(&secret, &fixed_key(), Clock::system().now_ms()).expect("the secret");
    let claims = enrolment::verify(&statement, &[fixed_key().verifying_key()], Clock::system().now_ms()).expect("ours");
    assert_eq!((claims.tier, claims.serials), (Tier::Development, vec!["2".to_owned()]));
    attester.enrolled(statement, Clock::system().now_ms()).await;
    let evidence = attester.evidence(bound).await.expect("a quote");
    assert_eq!(evidence.ima_log.as_ref().map(|log| log.0.clone()), Some(log), "up to the quote");
    let found = verify(&emulator, &evidence).expect("our quote");
    assert_eq!((found.bound.as_slice(), found.tier), (&bound.as_bytes()[..], Tier::Development));
    assert_eq!(found.claims.pcrs.len(), 16);
    let programs = BTreeSet::from([Digest::of(b"init"), Digest::of(b"siwa")]);
    assert_eq!(found.claims.programs, Some(programs));
    let values = TpmValues {
        pcrs: [(0, [found.claims.pcrs[&0]].into())].into(),
        programs: found.claims.programs.clone().expect("a log"),
    };
    let compared = tpm::compare(&found.claims, &profile(&emulator, values.clone()), &values);
    assert_eq!(failing(&compared), Vec::<&str>::new());
    let other = TpmValues { programs: [Digest::of(b"later")].into(), ..values };
    let compared = tpm::compare(&found.claims, &profile(&emulator, other.clone()), &other);
    assert_eq!(failing(&compared), ["None of the policy's programs is in the kernel's log."]);
    // Two at once take turns; nothing stays loaded; the key is the same when the TPM is opened anew.
    let (one, two) = tokio::join!(attester.evidence(bound), attester.evidence(Digest::of(b"another")));
    let (one, two) = (one.expect("a quote"), two.expect("a quote"));
    assert_eq!(verify(&emulator, &one).map(|found| found.bound), Ok(bound.as_bytes().to_vec()));
    assert_eq!(verify(&emulator, &two).map(|found| found.bound), Ok(Digest::of(b"another").as_bytes().to_vec()));
    assert_eq!(emulator.tool_that_stays("tpm2_getcap handles-transient"), "");
    assert_eq!(emulator.tool_that_stays("tpm2_getcap handles-loaded-session"), "");
    assert_eq!(one.ak_public, request.ak_public);
}

/// What tpm2_makecredential made for either kind of endorsement key, our client has the TPM open.
#[tokio::test]
async fn our_client_opens_credentials_of_tpm2_makecredential() {
    let Some(emulator) = Emulator::start("our_client_opens_credentials_of_tpm2_makecredential") else { return };
    let options = TpmOptions { tcti: emulator.tcti().parse().expect("a TCTI"), ..TpmOptions::default() };
    let attester = TpmAttester::open(options).await.expect("it answers");
    emulator.write("secret", SECRET);
    for kind in ["rsa", "ecc"] {
        emulator.tool(&format!("tpm2_createek -c ek.ctx -G {kind} -u ek.pub"));
        if kind == "ecc" {
            let area = emulator.read_sized("ek.pub");
            emulator.certify_ecc(&area[area.len() - 66..area.len() - 34], &area[area.len() - 32..]);
        }
        let request = attester.enrolment_request().await.expect("there is a certificate");
        assert_eq!(request.ek_public.0, emulator.read_sized("ek.pub"));
        let name = [&[0, 11], &Digest::of(&request.ak_public).as_bytes()[..]].concat();
        let make = |name: &[u8]| {
            let name = hexadecimal(name);
            emulator
                .tool_that_stays(&format!("tpm2_makecredential -T none -u ek.pub -s secret -n {name} -o credential"));
            from_file(&emulator.read("credential"))
        };
        assert_eq!(attester.activate(make(&name)).await.expect("it is for this key").as_slice(), SECRET);
        // For another key of this TPM: the secret stays shut, and nothing stays loaded.
        let other = [&[0, 11], &Digest::of(b"another").as_bytes()[..]].concat();
        let refused = attester.activate(make(&other)).await.expect_err("it is for another").to_string();
        assert!(refused.starts_with("the TPM refused TPM2_ActivateCredential with "), "{refused}");
        assert!(refused.ends_with(": the credential is not for this TPM and this key"), "{refused}");
        assert_eq!(emulator.tool_that_stays("tpm2_getcap handles-transient"), "");
        assert_eq!(emulator.tool_that_stays("tpm2_getcap handles-loaded-session"), "");
        let (challenge, credential) = challenge(&emulator, &request);
        let secret = attester.activate(credential).await.expect("ours, for either kind of key");
        let statement = challenge.finish(&secret, &fixed_key(), Clock::system().now_ms());
        assert!(statement.expect("the secret").starts_with("eyJ"));
    }
}

/// Writes a profile of this emulator, as it stands now, into the policies, and names it in the region's rule.
fn write_profile(installation: &Installation, emulator: &Emulator, program: Digest) {
    emulator.tool("tpm2_pcrread sha256:0 -o values");
    let boot = Digest::from_bytes(emulator.read("values").try_into().expect("32 bytes"));
    std::fs::write(installation.file("policies/anchors/maker.pem"), emulator.read("ca/issuer.pem")).expect("a file");
    let change = |name: &str, change: &dyn Fn(String) -> String| {
        let path = installation.file(name);
        let text = std::fs::read_to_string(&path).expect("a policy");
        std::fs::write(path, change(text)).expect("the policy is written");
    };
    let profile = format!(
        "\n[[tpm]]\nname = \"emulators\"\nanchors = [\"anchors/maker.pem\"]\npcrs = {{ 0 = [\"{boot}\"] }}\n\
         programs = [\"{program}\"]\n"
    );
    change("policies/attestation.toml", &|text| text + &profile);
    change("policies/regions/eu-west.toml", &|text| {
        let (own, tpm) = ("profiles = [\"node-software\"]", "profiles = [\"emulators\"]");
        assert!(text.contains(own));
        text.replace(own, tpm).replace("tier_min = \"software\"", "tier_min = \"development\"")
    });
}

/// State and detail of the node's condition `admission`.
async fn admission(node: &Running) -> (String, String) {
    let url = node.url("admin").replace("https://", "http://");
    let client = Client::new(ClientOptions::new(url, Vec::new())).expect("a client");
    let ready: Value = client.get("/readyz").send().await.expect("it is ready").json().expect("conditions");
    let conditions = ready["conditions"].as_array().expect("a list");
    let found = conditions.iter().find(|condition| condition["name"] == "admission").expect("it attests");
    let text = |name: &str| found[name].as_str().expect("a text").to_owned();
    (text("state"), text("detail"))
}

/// Releases that the centre has taken, which has ended.
fn releases(installation: &Installation) -> u64 {
    let store = rusqlite::Connection::open(installation.centre_store()).expect("the store opens");
    store.query_row("SELECT count(*) FROM releases", (), |row| row.get(0)).expect("the schema is known")
}

async fn watch_clips(installation: &Installation, node: &Running) {
    let client = installation.client(&node.url("region"));
    let created: Value =
        client.post("/v1/sessions").json(&json!({})).send().await.expect("a session").json().expect("JSON");
    let path = format!("/v1/sessions/{}/end", created["session"].as_str().expect("a text"));
    let watched =
        json!({"signals": [{"type": "watch", "seq": 1, "item": "clip-1", "dwell_ms": 9000, "duration_ms": 10000}]});
    client.post(&path).json(&watched).send().await.expect("the session ends");
}

/// Centre and node as processes: the TPM is enrolled, its evidence admits the node, and a changed machine does not.
#[tokio::test]
async fn a_node_attests_by_its_tpm() {
    let Some(emulator) = Emulator::start("a_node_attests_by_its_tpm") else { return };
    let (entry, extension) = measured("siwa", "/usr/bin/siwa");
    emulator.tool(&format!("tpm2_pcrextend 10:sha256={extension}"));
    emulator.write("ima.log", &entry);
    let mut installation = Installation::new();
    write_profile(&installation, &emulator, Digest::of(b"siwa"));
    let mut centre = installation.start_centre();
    installation.upload_catalogue(&centre).await;
    let (tcti, log) = (emulator.tcti(), emulator.file("ima.log"));
    let section = format!(
        "[region.attestation]\nevidence = \"tpm\"\ntcti = \"{tcti}\"\nenrolment = \"enrolment.jws\"\nima_log = \"{}\"\n",
        log.display()
    );
    installation.configure_node(&centre, &section);
    let statement = || std::fs::read_to_string(installation.file("enrolment.jws")).expect("the statement is kept");
    let met = ("met".to_owned(), String::new());

    // A release needs the admission.
    let mut node = installation.start_node(Some(StopPoint::Sent));
    assert_eq!(admission(&node).await, met);
    let first = statement();
    watch_clips(&installation, &node).await;
    node.wait_for("standing still at a stop point");
    node.kill();

    // The next process has the statement from the file.
    let mut node = installation.start_node(None);
    assert_eq!((admission(&node).await, statement()), (met, first));
    assert_eq!(node.terminate(), Some(0));

    // Another boot.
    emulator.tool(&format!("tpm2_pcrextend 0:sha256={}", Digest::of(b"another boot")));
    let mut node = installation.start_node(None);
    let refused = "the centre does not admit this node, whose evidence is of the kind tpm: \
                   Register 0 is none of the policy's reference values.";
    assert_eq!(admission(&node).await, ("degraded".to_owned(), refused.to_owned()));
    assert_eq!(node.terminate(), Some(0));
    assert_eq!(centre.terminate(), Some(0));
    assert!(releases(&installation) > 0, "a release was accepted");
}
