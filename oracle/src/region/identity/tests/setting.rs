//! What a service under test is made of: sample policies, an identity folder that was made before, and a node.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use attest::seal::OperatorKey;
use attest::{AdmissionMode, PairwiseSecret};
use personalize::{Catalogue, Model};
use policies::PolicySet;
use prometheus::Registry;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;
use crate::attester::AttestationOptions;
use crate::client::{Client, ClientOptions};
use crate::environment::{Entropy, Environment, NoiseMode};
use crate::identity_folder::Periods;
use crate::region::identity::{IdentityLimits, IdentityOptions};
use crate::region::tenant::Serving;
use crate::region::{CentreLink, ContentOptions, NodeOptions, TenantAccess};
use crate::store::identity::{Account, Gate};

/// The sample policies with a second tenant that may ask the same, and these changes.
pub(super) fn policy_set(changes: &[Change<'_>]) -> PolicySet {
    let mut files: BTreeMap<String, String> =
        policies::sample::files().into_iter().map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect();
    let access = files.get_mut("access.toml").unwrap();
    access.push_str(&format!(
        "\n[[grants]]\ntenant = \"{OTHER}\"\nregions = [\"us-east\"]\npurposes = []\n\
         checks = [\"account\", \"age_over_18\"]\ntokens_for = [\"account\"]\n"
    ));
    for (file, from, to) in changes {
        let text = files.get_mut(*file).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        *text = if from.is_empty() { (*to).to_owned() } else { text.replacen(from, to, 1) };
    }
    let files = files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    PolicySet::parse(&files).unwrap_or_else(|findings| panic!("{findings:?}"))
}

fn tenants() -> [TenantId; 2] {
    [TENANT, OTHER].map(|name| name.parse().unwrap())
}

/// An identity folder with its first keys, made once for all tests: an RSA key takes a second.
pub(super) struct Prepared {
    pub(super) operator: String,
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
}

pub(super) fn prepared() -> &'static Prepared {
    static PREPARED: OnceLock<Prepared> = OnceLock::new();
    PREPARED.get_or_init(|| {
        // The same keys in every run: a request names its key by one byte, and two tenants' must not share it.
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let operator = OperatorKey::generate(&mut rng);
        let (text, files) = (operator.to_text().to_string(), tempfile::tempdir().unwrap());
        let folder = IdentityFolder::new(files.path().join("identity"), operator, ISSUER.to_owned(), &tenants());
        folder.initialise(&mut rng).unwrap();
        let rule = policy_set(&[]).region(&"us-east".parse().unwrap()).unwrap().identity.clone().unwrap();
        let setup = folder.setup().unwrap();
        folder.turn(&setup, &Periods::of(&rule), &Default::default(), START_MS / 1000, &mut rng).unwrap();
        let mut read = BTreeMap::new();
        read_folder(files.path(), files.path(), &mut read);
        Prepared { operator: text, files: read }
    })
}

fn read_folder(root: &Path, path: &Path, read: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(root, &path, read);
        } else {
            read.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
        }
    }
}

pub(super) fn operator() -> OperatorKey {
    OperatorKey::parse(&prepared().operator).unwrap()
}

pub(super) fn folder(files: &Path) -> IdentityFolder {
    IdentityFolder::new(files.join("identity"), operator(), ISSUER.to_owned(), &tenants())
}

pub(super) async fn start(
    files: &tempfile::TempDir,
    keys: [&ApiKey; 2],
    clock: &Clock,
    changes: &[Change<'_>],
    issuers_ca: Vec<CertificateDer<'static>>,
    limits: IdentityLimits,
) -> Arc<Node> {
    let mut rng = OsRng.unwrap_err();
    let access = |(key, certificates): (&ApiKey, _)| TenantAccess { api_keys: vec![key.hash()], certificates };
    let accesses = keys.into_iter().zip([vec![CERTIFICATE], Vec::new()]).map(access);
    let tenants = tenants();
    let lists = files.path().join("lists");
    let options = NodeOptions {
        name: "node-1".parse().unwrap(),
        region: "us-east".parse().unwrap(),
        policies: crate::region::testing::signed(&policy_set(changes)),
        tenants: tenants.iter().cloned().zip(accesses).collect(),
        node_key: SigningKey::generate(&mut rng),
        // The same over restarts: it signs what devices hold.
        answer_key: answer_key(),
        pairwise: PairwiseSecret::from_bytes(zeroize::Zeroizing::new([5; 32])),
        centre: CentreLink {
            // Port 9 of loopback: nobody listens, so that a connection is refused at once.
            client: Client::new(ClientOptions::new("http://127.0.0.1:9", Vec::new())).unwrap(),
            name: "centre".to_owned(),
            key: SigningKey::generate(&mut rng).verifying_key(),
            log: crate::log::testing::keys(),
            admission: AdmissionMode::PinnedKey,
            interval: Duration::from_secs(30),
        },
        attestation: AttestationOptions::default(),
        tls_spki: Digest::of(b"spki"),
        config: Digest::of(b"config"),
        store: None,
        sessions_max: 10,
        // Of the tests that made lists.
        content: lists.is_dir().then(|| ContentOptions { lists: Some(lists), ..ContentOptions::default() }),
        identity: Some(IdentityOptions {
            folder: files.path().join("identity"),
            operator: operator(),
            issuer: ISSUER.to_owned(),
            issuers_ca,
            limits,
        }),
        registry: Registry::new(),
    };
    let environment =
        Environment { clock: clock.clone(), entropy: Entropy::Os, noise: NoiseMode::Calibrated, stop_at: None };
    let node = Node::start(options, environment).await.unwrap();
    // The first look of the process; the next is ten seconds on.
    node.maintain_identity().await;
    let account = Account {
        credential_id: [9; 32],
        tenant: tenants[0].clone(),
        subject: SUBJECT,
        record: vec![0; 193],
        claims: Vec::new(),
    };
    node.identity.as_ref().unwrap().store.register(account, Gate::Open).await.unwrap();
    for tenant in tenants {
        let item =
            |n| json!({"id": format!("c{n}"), "title": "t", "kind": "clip", "tags": [], "year": null}).to_string();
        let lines: Vec<String> = (0..3).map(item).collect();
        let catalogue = Arc::new(Catalogue::parse(tenant.clone(), 1, lines.join("\n").as_bytes()).unwrap());
        let model = Model::prior(&catalogue, 100_000);
        node.tenant(&tenant).unwrap().offer(Arc::new(Serving { catalogue, model }));
    }
    node
}
