//! `siwa keys`: signing keys, pairwise secrets and API keys.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use attest::seal::OperatorKey;
use attest::{ApiKey, PairwiseSecret, SigningKey, VerifyingKey};
use clap::{Args, Subcommand};
use rand_core::{OsRng, TryRngCore as _};
use serde_json::json;

/// Only the owner reads and writes a file with a secret.
const SECRET_MODE: u32 = 0o600;

/// Make the keys that a centre, a node, a tenant or an operator holds.
///
/// A node and a centre each have a signing key (Ed25519). The private half stays in its file; the public half goes into
/// the other side's config: the centre pins every node's, nodes pin the centre's. A centre has a second signing key, for
/// the results of nodes' attestations. Tenants and operators hold API keys, of which configs store only the SHA-256.
#[derive(Debug, Args)]
pub(crate) struct KeysCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a signing key: writes the private half (PKCS#8 PEM, mode 0600), prints the public half.
    ///
    /// An existing file is never overwritten: whoever pinned its public half would lose it.
    New {
        /// The file to write the private key to.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the public half of a signing key, for the other side's config.
    Show {
        /// A key file as `keys new` writes it, or one of OpenSSL's (`openssl genpkey -algorithm ed25519`).
        file: PathBuf,
        /// Print one JSON object with the JWK.
        #[arg(long)]
        json: bool,
    },
    /// Make the secret from which a region derives viewers' pairwise pseudonyms (mode 0600).
    ///
    /// All nodes of a region share it. With another secret, every viewer gets another pseudonym.
    Pairwise {
        /// The file to write the secret to.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make the key under which a region's identity secrets are sealed at rest (mode 0600).
    ///
    /// Keep it on another disk than the identity folder. Without it, every account of the region is lost.
    Operator {
        /// The file to write the key to.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make an API key: prints it, this once, and the SHA-256 that goes into the config.
    Api {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

impl KeysCommand {
    /// Makes or shows a key.
    ///
    /// # Errors
    /// A file that exists, cannot be written or holds no key; no randomness.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        self.act(&mut std::io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }

    fn act(self, out: &mut impl Write) -> anyhow::Result<()> {
        // The system either gives randomness or aborts the call here, before any key exists.
        OsRng.try_next_u64().context("the operating system gave no randomness")?;
        let mut rng = OsRng.unwrap_err();
        match self.action {
            Action::New { out: file, json } => {
                let key = SigningKey::generate(&mut rng);
                write_secret(&file, key.to_pem().as_bytes())?;
                show(out, &key.verifying_key(), json)
            }
            Action::Show { file, json } => show(out, &read_signing_key(&file)?.verifying_key(), json),
            Action::Pairwise { out: file } => {
                let secret = PairwiseSecret::generate(&mut rng);
                write_secret(&file, format!("{}\n", *secret.to_text()).as_bytes())
            }
            Action::Operator { out: file } => {
                let key = OperatorKey::generate(&mut rng);
                write_secret(&file, format!("{}\n", *key.to_text()).as_bytes())
            }
            Action::Api { json } => {
                let key = ApiKey::generate(&mut rng);
                let digest = key.hash().digest();
                if json {
                    writeln!(out, "{}", json!({"key": key.expose(), "sha256": digest}))?;
                } else {
                    writeln!(out, "key     {}\nsha256  {digest}", key.expose())?;
                    writeln!(out, "The key is shown this once. The config takes its sha256.")?;
                }
                Ok(())
            }
        }
    }
}

/// Reads a signing key's file.
pub(crate) fn read_signing_key(file: &Path) -> anyhow::Result<SigningKey> {
    let named = || format!("the key file {}", file.display());
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).with_context(named)?);
    SigningKey::from_pem(&text).with_context(named)
}

fn show(out: &mut impl Write, key: &VerifyingKey, json: bool) -> anyhow::Result<()> {
    if json {
        writeln!(out, "{}", json!({"public_key": key, "key_id": key.key_id().as_str(), "jwk": key.to_jwk()}))?;
    } else {
        writeln!(out, "public key  {key}\nkey id      {}", key.key_id())?;
    }
    Ok(())
}

pub(crate) fn write_secret(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let named = || format!("cannot write {}", file.display());
    let mut open = OpenOptions::new();
    let mut file = open.write(true).create_new(true).mode(SECRET_MODE).open(file).with_context(named)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn run(action: Action) -> anyhow::Result<String> {
        let mut out = Vec::new();
        KeysCommand { action }.act(&mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn a_new_key_is_the_owners_alone_and_shows_the_same_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.pem");
        let made = run(Action::New { out: file.clone(), json: true }).unwrap();
        assert_eq!(run(Action::Show { file: file.clone(), json: true }).unwrap(), made);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, SECRET_MODE);
        let shown: serde_json::Value = serde_json::from_str(&made).unwrap();
        let public: VerifyingKey = shown["public_key"].as_str().unwrap().parse().unwrap();
        assert_eq!(shown["key_id"], public.key_id().as_str());
        assert_eq!(shown["jwk"]["x"], shown["public_key"]);
        assert!(!made.contains(std::fs::read_to_string(&file).unwrap().lines().nth(1).unwrap()));
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.pem");
        std::fs::write(&file, "mine").unwrap();
        for action in [Action::New { out: file.clone(), json: false }, Action::Pairwise { out: file.clone() }] {
            let error = run(action).unwrap_err();
            assert!(format!("{error:#}").starts_with("cannot write "), "{error:#}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        let error = run(Action::Show { file, json: false }).unwrap_err();
        assert!(format!("{error:#}").ends_with("not one PEM block labelled PRIVATE KEY"), "{error:#}");
    }

    #[test]
    fn secrets_and_api_keys_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pairwise");
        assert_eq!(run(Action::Pairwise { out: file.clone() }).unwrap(), "");
        let text = std::fs::read_to_string(file).unwrap();
        assert_eq!(PairwiseSecret::parse(&text).map(|secret| *secret.to_text() == text.trim()), Ok(true));
        let made: serde_json::Value = serde_json::from_str(&run(Action::Api { json: true }).unwrap()).unwrap();
        let key = ApiKey::parse(made["key"].as_str().unwrap()).unwrap();
        assert_eq!(made["sha256"], key.hash().digest().to_string());
    }
}
