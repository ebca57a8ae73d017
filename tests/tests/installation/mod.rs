//! A centre and a node as processes on 127.0.0.1, with keys, certificates and policies in a folder that goes with them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use oracle::client::{Client, ClientOptions};
use oracle::environment::StopPoint;
use oracle::http::certificates_from_pem;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::Value;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_siwa-under-test");
/// How long a process may be silent while a line of it is waited for.
const SILENCE: Duration = Duration::from_secs(30);
pub(crate) const TENANT: &str = "demo-platform";

/// Runs the program to its end and returns what it printed.
fn siwa(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(PROGRAM).args(arguments).output().expect("the program runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn siwa_json(arguments: &[&str], field: &str) -> String {
    let printed: Value = serde_json::from_slice(&siwa(arguments)).expect("one JSON object");
    printed[field].as_str().expect("a text").to_owned()
}

/// A process that serves, and the lines it logs.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<Value>,
    listening: Vec<(String, String)>,
}

impl Running {
    fn start(config: &Path, stop_at: Option<StopPoint>) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(stop_at.map(|point| format!("--stop-at={}", point.as_str())));
        command.args(["serve", "--config"]).arg(config).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (sender, lines) = sync_channel(1024);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // What is no JSON is why it did not start.
                let _ = sender.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let mut running = Self { child, lines, listening: Vec::new() };
        running.wait_for("serving");
        running
    }

    /// Reads its log up to the line with this message.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        let mut passed = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(SILENCE) else { panic!("never logged `{message}`: {passed:?}") };
            let fields = &line["fields"];
            if let (Some(name), Some(address)) = (fields["listener"].as_str(), fields["address"].as_str()) {
                self.listening.push((name.to_owned(), address.to_owned()));
            }
            if fields["message"] == message {
                return line;
            }
            passed.push(line);
        }
    }

    /// Where this role listens.
    pub(crate) fn url(&self, role: &str) -> String {
        let found = self.listening.iter().find(|(name, _)| name == role);
        format!("https://{}", found.expect("the role listens").1)
    }

    /// What the admin listener says.
    #[allow(dead_code, reason = "not every test asks for it")]
    pub(crate) fn admin_json(&self, path: &str) -> Value {
        let found = self.listening.iter().find(|(name, _)| name == "admin");
        let mut stream = std::net::TcpStream::connect(&found.expect("it listens").1).expect("it answers");
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).expect("text");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and the code with which it ends.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder and what was made in it.
pub(crate) struct Installation {
    folder: tempfile::TempDir,
    ca_pem: String,
    api_key: String,
    api_hash: String,
    operator_hash: String,
    node_public: String,
    centre_public: String,
    log_key: String,
}

impl Installation {
    /// Keys, certificates and policies.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
        let new_key = |name: &str| siwa_json(&["keys", "new", "--json", "--out", &file(name)], "public_key");
        let (node_public, centre_public) = (new_key("node.key"), new_key("centre.key"));
        new_key("answers.key");
        new_key("attestation.key");
        new_key("policy.key");
        new_key("log.key");
        let log_key = siwa_json(&["log", "key", &file("log.key"), "--origin", "siwa-centre/log", "--json"], "key");
        siwa(&["keys", "pairwise", "--out", &file("pairwise.secret")]);
        let api: Value = serde_json::from_slice(&siwa(&["keys", "api", "--json"])).expect("a key");
        let text = |name: &str| api[name].as_str().expect("a text").to_owned();
        let (api_key, api_hash) = (text("key"), text("sha256"));
        let operator_hash = siwa_json(&["keys", "api", "--json"], "sha256");
        let ca_pem = write_certificates(folder.path());
        write_policies(&folder.path().join("policies"));
        Self { folder, ca_pem, api_key, api_hash, operator_hash, node_public, centre_public, log_key }
    }

    /// Signs the policies as they stand, and says by which key.
    fn sign_policies(&self) -> String {
        let (folder, key) = (self.file("policies"), self.file("policy.key"));
        let [folder, key] = [&folder, &key].map(|path| path.to_str().expect("UTF-8"));
        let told = String::from_utf8(siwa(&["policy", "sign", folder, "--key", key])).expect("UTF-8");
        told.trim_end().rsplit(' ').next().expect("a key").to_owned()
    }

    /// A file of the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The tenant's key.
    #[allow(dead_code, reason = "not every test plays a platform by hand")]
    pub(crate) fn api_key(&self) -> &str {
        &self.api_key
    }

    pub(crate) fn node_store(&self) -> PathBuf {
        self.file("node.sqlite")
    }

    pub(crate) fn centre_store(&self) -> PathBuf {
        self.file("centre.sqlite")
    }

    /// A client with the tenant's key.
    pub(crate) fn client(&self, url: &str) -> Client {
        let roots = certificates_from_pem(self.ca_pem.as_bytes()).expect("a certificate");
        let options = ClientOptions { bearer: Some(self.api_key.clone()), ..ClientOptions::new(url, roots) };
        Client::new(options).expect("a client")
    }

    pub(crate) fn start_centre(&mut self) -> Running {
        let config = self.folder.path().join("centre.toml");
        let policy_key = self.sign_policies();
        let Self { operator_hash, node_public, api_hash, .. } = self;
        let text = format!(
            "[listen]\ncentre = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
             [tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
             [centre]\nname = \"siwa-centre\"\npolicies = \"policies\"\npolicy_keys = [\"{policy_key}\"]\nstore = \"centre.sqlite\"\n\
             key = \"centre.key\"\nattestation_key = \"attestation.key\"\noperators_sha256 = [\"{operator_hash}\"]\n\
             [centre.log]\nfolder = \"log\"\nkey = \"log.key\"\norigin = \"siwa-centre/log\"\n\
             [[centre.nodes]]\nnode = \"eu-west-1\"\nregion = \"eu-west\"\nkey = \"{node_public}\"\n\
             [[centre.tenants]]\ntenant = \"{TENANT}\"\napi_keys_sha256 = [\"{api_hash}\"]\n"
        );
        fs::write(&config, text).expect("the config is written");
        Running::start(&config, None)
    }

    /// Starts the centre again where it listened before.
    #[allow(dead_code, reason = "not every test lets it go")]
    pub(crate) fn restart_centre(&self, before: &Running) -> Running {
        let config = self.folder.path().join("centre.toml");
        let text = fs::read_to_string(&config).expect("the config is there");
        let url = before.url("centre");
        let address = url.trim_start_matches("https://");
        let text = text.replace("centre = \"127.0.0.1:0\"", &format!("centre = \"{address}\""));
        fs::write(&config, text).expect("the config is written");
        Running::start(&config, None)
    }

    /// Uploads five clips as the platform does.
    pub(crate) async fn upload_catalogue(&self, centre: &Running) {
        let line = |n| {
            format!(
                "{{\"id\":\"clip-{n}\",\"title\":\"Clip {n}\",\"kind\":\"clip\",\"tags\":[\"t{n}\"],\"year\":null}}\n"
            )
        };
        let catalogue: String = (1..=5).map(line).collect();
        let client = self.client(&centre.url("centre"));
        let call = client.put("/v1/catalogues/demo-platform").bytes("application/jsonl", catalogue);
        call.send().await.expect("the centre takes the catalogue");
    }

    /// Writes the node's config, with these sections behind it, and makes its ledger.
    pub(crate) fn configure_node(&self, centre: &Running, sections: &str) {
        let policy_key = self.sign_policies();
        let Self { centre_public, api_hash, log_key, .. } = self;
        let url = centre.url("centre");
        let text = format!(
            "[listen]\nregion = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
             [tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
             [region]\nregion = \"eu-west\"\nnode = \"eu-west-1\"\npolicies = \"policies\"\npolicy_keys = [\"{policy_key}\"]\nstore = \"node.sqlite\"\n\
             node_key = \"node.key\"\nanswer_key = \"answers.key\"\npairwise_secret = \"pairwise.secret\"\n\
             [region.centre]\nurl = \"{url}\"\nca = \"ca.pem\"\nname = \"siwa-centre\"\nkey = \"{centre_public}\"\n\
             [region.centre.log]\nkey = \"{log_key}\"\n\
             [[region.tenants]]\ntenant = \"{TENANT}\"\napi_keys_sha256 = [\"{api_hash}\"]\n{sections}"
        );
        let config = self.folder.path().join("node.toml");
        fs::write(&config, text).expect("the config is written");
        siwa(&["ledger", "init", "--config", config.to_str().expect("UTF-8")]);
    }

    pub(crate) fn start_node(&self, stop_at: Option<StopPoint>) -> Running {
        Running::start(&self.folder.path().join("node.toml"), stop_at)
    }
}

/// Writes a root and a server's certificate with its key, and returns the root.
fn write_certificates(folder: &Path) -> String {
    let root_key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::default();
    // OpenSSL takes a certificate of its issuer's name for one that signed itself.
    root.distinguished_name.push(DnType::CommonName, "Root of an installation under test");
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

/// The sample policies with a region whose unit is a session and whose window is two seconds: half the sensitivity,
/// therefore half of each claimed deviation, and no budget of a year.
fn write_policies(folder: &Path) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    for part in ["regions", "purposes", "issuers"] {
        fs::create_dir_all(folder.join(part)).expect("a folder");
    }
    for part in
        ["purposes/recommendations.toml", "purposes/experiments.toml", "issuers.toml", "issuers/nordlys-id.jwks.json"]
    {
        fs::copy(sample.join(part), folder.join(part)).expect("a copy");
    }
    // The region's nodes may show what the sample's may.
    fs::create_dir_all(folder.join("anchors")).expect("a folder");
    for (path, bytes) in policies::sample::files() {
        if path == "attestation.toml" || path.starts_with("anchors/") {
            fs::write(folder.join(path), bytes).expect("a copy");
        }
    }
    let mut region = fs::read_to_string(sample.join("regions/eu-west.toml")).expect("the sample region");
    for (from, to) in [
        ("failover = [\"eu-north\"]", "failover = []"),
        ("\"viewer-window\"", "\"session\""),
        ("window_seconds = 604800", "window_seconds = 2"),
        ("region_factor = 2", "region_factor = 1"),
        ("rho_per_year = 4.77\n", ""),
        ("epsilon_per_year = 19.95\n", ""),
        ("sigma_rewards = 17.4\n", "sigma_rewards = 8.7\n"),
        ("sigma_impressions = 59.86", "sigma_impressions = 29.93"),
        ("sigma = 8.908", "sigma = 4.454"),
        ("sigma = 84.32", "sigma = 42.16"),
    ] {
        assert!(region.contains(from), "the sample region has no `{from}`");
        region = region.replace(from, to);
    }
    region = region.replace("clip = 2.0\nsigma = 42.16", "clip = 2.0\nsigma = 21.08");
    fs::write(folder.join("regions/eu-west.toml"), region).expect("the region is written");
    let grant = format!(
        "[[grants]]\ntenant = \"{TENANT}\"\nregions = [\"eu-west\"]\npurposes = [\"recommendations\", \"experiments\"]\n\
         checks = [\"account\", \"age_over_18\", \"subscriber_tier\"]\ntokens_for = [\"account\", \"age_over_18\"]\n"
    );
    fs::write(folder.join("access.toml"), grant).expect("the grant is written");
}
