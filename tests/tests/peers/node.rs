//! A node as a process on 127.0.0.1 with an identity service. The centre that its config names is never there.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use attest::{Answer, Ear, VerifyingKey};
use oracle::client::{Client, ClientOptions};
use oracle::http::certificates_from_pem;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_siwa-under-test");
/// How long a process may be silent while a line of it is waited for.
const SILENCE: Duration = Duration::from_secs(60);
const NODE: &str = "eu-west-1";
pub(crate) const TENANT: &str = "demo-platform";
/// The service's name. Clients reach it by another address, as if a resolver had told them.
pub(crate) const ISSUER: &str = "https://eu-west.example";

/// Runs the program to its end and returns what it printed.
fn siwa(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(PROGRAM).args(arguments).output().expect("the program runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn siwa_json(arguments: &[&str]) -> Value {
    serde_json::from_slice(&siwa(arguments)).expect("one JSON object")
}

/// An issuer of credentials that the policy is to trust.
pub(crate) struct TrustedIssuer {
    pub(crate) name: String,
    pub(crate) credential_type: String,
    pub(crate) jwks: Value,
}

impl TrustedIssuer {
    /// As a peer's script introduces itself.
    pub(crate) fn introduced(said: &Value) -> Self {
        let text = |name: &str| said[name].as_str().expect("a text").to_owned();
        Self { name: text("issuer"), credential_type: text("type"), jwks: said["jwks"].clone() }
    }
}

/// What a test has the sample policies say.
pub(crate) trait ChangedPolicy {
    /// Puts it into them.
    fn write(&self, folder: &Path);
}

/// Whom the policy believes about content, and what it asks for.
pub(crate) struct ContentPolicy<'a> {
    pub(crate) anchor_pem: &'a str,
    pub(crate) required: &'a [&'a str],
}

impl ChangedPolicy for ContentPolicy<'_> {
    fn write(&self, folder: &Path) {
        let file = folder.join("content.toml");
        let text = fs::read_to_string(&file).expect("the sample of content");
        let rule = format!("anchors = [\"anchors/pictures.pem\"]\nrequired_assertions = {:?}", self.required);
        assert!(text.contains("anchors = []"), "the sample believes nobody");
        fs::write(file, text.replace("anchors = []", &rule)).expect("the rule is written");
        fs::write(folder.join("anchors/pictures.pem"), self.anchor_pem).expect("the anchor is written");
    }
}

/// Whose authenticators the policy believes, and of which model.
pub(crate) struct KeysPolicy<'a> {
    pub(crate) anchor_pem: &'a str,
    pub(crate) model: &'a str,
}

impl ChangedPolicy for KeysPolicy<'_> {
    fn write(&self, folder: &Path) {
        let file = folder.join("attestation.toml");
        let text = fs::read_to_string(&file).expect("the sample of attestation");
        let values = format!("anchors = [\"anchors/keys.pem\"]\nmodels = [\"{}\"]\nunattested = true", self.model);
        assert_eq!(text.matches("unattested = true").count(), 1, "the sample believes no maker of authenticators");
        fs::write(file, text.replace("unattested = true", &values)).expect("the profile is written");
        fs::write(folder.join("anchors/keys.pem"), self.anchor_pem).expect("the anchor is written");
    }
}

/// Keys and certificates in a folder that goes with them.
pub(crate) struct Installation {
    folder: tempfile::TempDir,
    ca_pem: String,
    api_key: String,
    api_hash: String,
    answers: VerifyingKey,
}

impl Installation {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
        let text = |value: &Value, name: &str| value[name].as_str().expect("a text").to_owned();
        siwa(&["keys", "new", "--out", &file("node.key")]);
        let answers = siwa_json(&["keys", "new", "--json", "--out", &file("answers.key")]);
        let answers = text(&answers, "public_key").parse().expect("a public key");
        siwa(&["keys", "pairwise", "--out", &file("pairwise.secret")]);
        siwa(&["keys", "operator", "--out", &file("operator.secret")]);
        let api = siwa_json(&["keys", "api", "--json"]);
        let ca_pem = write_certificates(folder.path());
        Self { ca_pem, api_key: text(&api, "key"), api_hash: text(&api, "sha256"), answers, folder }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes and builds a private list of these clips' ids.
    pub(crate) fn list(&self, list: &str, clips: &[String]) {
        let file = |name: &str| self.file(name).to_str().expect("UTF-8").to_owned();
        fs::write(self.file("clips"), clips.join("\n")).expect("the clips are written");
        let (out, operator, clips) = (file("lists"), file("operator.secret"), file("clips"));
        let key = file(&format!("{list}.pem"));
        let of = ["--out", &out, "--tenant", TENANT, "--list", list, "--signing-key", &key];
        let build = ["list", "build", "--format", "text", "--input", &clips, "--operator-key", &operator];
        siwa(&[&["list", "init", "--meaning", "blocked"][..], &of].concat());
        siwa(&[&build[..], &of].concat());
    }

    /// Writes policies and config, makes ledger and identity folder, and starts.
    pub(crate) fn start(&self, registration: &str, issuer: Option<&TrustedIssuer>) -> Node<'_> {
        write_policies(&self.file("policies"), registration, issuer);
        self.serve()
    }

    /// Starts with policies that say this.
    pub(crate) fn start_with(&self, changed: &impl ChangedPolicy) -> Node<'_> {
        let policies = self.file("policies");
        write_policies(&policies, "open", None);
        changed.write(&policies);
        self.serve()
    }

    /// Signs the policies as they stand, and says by which key.
    fn sign_policies(&self) -> String {
        let (folder, key) = (self.file("policies"), self.file("policy.key"));
        let [folder, key] = [&folder, &key].map(|path| path.to_str().expect("UTF-8"));
        if !self.file("policy.key").exists() {
            siwa(&["keys", "new", "--out", key]);
        }
        let told = String::from_utf8(siwa(&["policy", "sign", folder, "--key", key])).expect("UTF-8");
        told.trim_end().rsplit(' ').next().expect("a key").to_owned()
    }

    fn serve(&self) -> Node<'_> {
        let Self { answers, api_hash, .. } = self;
        let policy_key = self.sign_policies();
        let key = self.file("answers.key");
        let key = ["log", "key", key.to_str().expect("UTF-8"), "--origin", "centre/log", "--json"];
        let log_key = siwa_json(&key)["key"].as_str().expect("a key").to_owned();
        let lists = if self.file("lists").exists() { "lists = \"lists\"\n" } else { "" };
        let content = format!("[region.content]\nupload_bytes_max = 1000000\n{lists}");
        let text = format!(
            "[listen]\nregion = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
             [tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
             [region]\nregion = \"eu-west\"\nnode = \"{NODE}\"\npolicies = \"policies\"\npolicy_keys = [\"{policy_key}\"]\nstore = \"node.sqlite\"\n\
             node_key = \"node.key\"\nanswer_key = \"answers.key\"\npairwise_secret = \"pairwise.secret\"\n\
             [region.centre]\nurl = \"https://127.0.0.1:9\"\nca = \"ca.pem\"\nname = \"centre\"\nkey = \"{answers}\"\n\
             [region.centre.log]\nkey = \"{log_key}\"\n\
             [region.identity]\nfolder = \"identity\"\noperator_key = \"operator.secret\"\nissuer = \"{ISSUER}\"\n\
             issuers_ca = \"ca.pem\"\n{content}\
             [[region.tenants]]\ntenant = \"{TENANT}\"\napi_keys_sha256 = [\"{api_hash}\"]\n"
        );
        let config = self.file("node.toml");
        fs::write(&config, text).expect("the config is written");
        let named = config.to_str().expect("UTF-8");
        siwa(&["ledger", "init", "--config", named]);
        siwa(&["identity", "init", "--config", named]);
        let (child, lines) = serve(&config);
        let url = region_url(&lines);
        Node { installation: self, _child: child, url }
    }
}

/// A node that serves.
pub(crate) struct Node<'a> {
    installation: &'a Installation,
    _child: Ended,
    url: String,
}

impl Node<'_> {
    /// What a peer's script has to know.
    pub(crate) fn settings(&self) -> Value {
        json!({"url": self.url, "issuer": ISSUER, "tenant": TENANT, "apiKey": self.installation.api_key})
    }

    /// A client with the tenant's key.
    pub(crate) fn client(&self) -> Client {
        let roots = certificates_from_pem(self.installation.ca_pem.as_bytes()).expect("a certificate");
        let bearer = Some(self.installation.api_key.clone());
        Client::new(ClientOptions { bearer, ..ClientOptions::new(&self.url, roots) }).expect("a client")
    }

    /// What the node signed for the tenant, at the time of its making.
    pub(crate) fn answer(&self, signed: &Value) -> Answer<Value> {
        let (signed, made_ms) = made(signed);
        Answer::verify_own(signed, &self.installation.answers, NODE, TENANT, made_ms).expect("signed by the node")
    }

    /// What the node signed of a device, at the time of its making.
    pub(crate) fn result(&self, signed: &Value) -> Ear {
        let (signed, made_ms) = made(signed);
        Ear::verify(signed, &self.installation.answers, TENANT, made_ms).expect("signed by the node")
    }
}

/// A compact JWS, and when it says that it was made, Unix ms.
fn made(signed: &Value) -> (&str, u64) {
    let signed = signed.as_str().unwrap_or_else(|| panic!("nothing is signed: {signed}"));
    let payload = signed.split('.').nth(1).expect("a compact JWS");
    let claims: Value = serde_json::from_slice(&super::bytes(payload)).expect("claims");
    (signed, claims["iat"].as_u64().expect("a time") * 1000)
}

/// A process that is killed and waited for when it is dropped.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(config: &Path) -> (Ended, Receiver<Value>) {
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--config"]).arg(config).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
    let (sender, lines) = sync_channel(1024);
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            // What is no JSON is why it did not start. A full queue drops lines, so that the node never waits.
            let _ = sender.try_send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
        }
    });
    (Ended(child), lines)
}

/// Reads the log until the node serves.
fn region_url(lines: &Receiver<Value>) -> String {
    let (mut url, mut passed) = (None, Vec::new());
    loop {
        let Ok(line) = lines.recv_timeout(SILENCE) else { panic!("the node never served: {passed:?}") };
        let fields = &line["fields"];
        if fields["listener"] == "region" {
            url = fields["address"].as_str().map(|address| format!("https://{address}"));
        }
        if fields["message"] == "serving" {
            return url.expect("the region listens");
        }
        passed.push(line);
    }
}

/// Writes a root and a server's certificate with its key, and returns the root.
fn write_certificates(folder: &Path) -> String {
    let root_key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::default();
    // OpenSSL takes a certificate for self-signed where its issuer has its own name.
    root.distinguished_name.push(DnType::CommonName, "a root for tests");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let root_pem = root.self_signed(&root_key).expect("a root").pem();
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    let server = server.signed_by(&key, &Issuer::new(root, root_key)).expect("a certificate");
    for (name, text) in
        [("ca.pem", root_pem.clone()), ("server.pem", server.pem()), ("server.key", key.serialize_pem())]
    {
        fs::write(folder.join(name), text).expect("a file is written");
    }
    root_pem
}

/// The sample policies, with who may register in eu-west, and one more issuer.
fn write_policies(folder: &Path, registration: &str, issuer: Option<&TrustedIssuer>) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    for part in ["", "regions", "purposes", "issuers", "anchors"] {
        fs::create_dir_all(folder.join(part)).expect("a folder");
        for entry in fs::read_dir(sample.join(part)).expect("the samples") {
            let path = entry.expect("an entry").path();
            // The folder is also a crate, whose manifest is no policy.
            if path.is_file() && path.file_name().is_some_and(|name| name != "Cargo.toml") {
                fs::copy(&path, folder.join(part).join(path.file_name().expect("a name"))).expect("a copy");
            }
        }
    }
    let region = folder.join("regions/eu-west.toml");
    let text = fs::read_to_string(&region).expect("the sample region");
    let changed = text.replace("registration = \"invite\"", &format!("registration = \"{registration}\""));
    assert!(text.contains("registration = \"invite\""), "the sample region is by invite");
    fs::write(region, changed).expect("the region is written");
    let Some(TrustedIssuer { name, credential_type, jwks }) = issuer else { return };
    let issuers = folder.join("issuers.toml");
    let mut text = fs::read_to_string(&issuers).expect("the sample issuers");
    text.push_str(&format!(
        "\n[[issuers]]\nissuer = \"{name}\"\nkeys_file = \"issuers/peer.jwks.json\"\ntypes = [\"{credential_type}\"]\n\
         checks = [\"age_over_18\"]\nstatus = \"if-present\"\n"
    ));
    fs::write(issuers, text).expect("the issuers are written");
    fs::write(folder.join("issuers/peer.jwks.json"), jwks.to_string()).expect("the keys are written");
}
