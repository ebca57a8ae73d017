//! `siwa model`: which models a centre keeps, and which one nodes run.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use attest::ApiKey;
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use policies::TenantId;
use zeroize::Zeroizing;

use crate::centre::models::{ModelLine, ModelList, PointerState, Rollback};
use crate::client::{Client, ClientOptions};
use crate::http::certificates_from_pem_file;

/// List the models that a centre keeps, and choose which one nodes run.
///
/// Every training that passes the learner's gates publishes a model under the next version. Nodes run the one that the
/// centre's signed pointer names. Its serial rises with every change, so that nobody can replay an older pointer.
#[derive(Debug, Args)]
pub(crate) struct ModelCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the kept models: version, what they were made of, and which one is current.
    List {
        #[command(flatten)]
        centre: CentreAccess,
    },
    /// Point nodes to a kept version. They swap to it at their next pull.
    ///
    /// Going back lowers the version and raises the serial. The next training starts from the version pointed at, and
    /// points to its own model again.
    Rollback {
        #[command(flatten)]
        centre: CentreAccess,
        /// The version to run.
        #[arg(long, value_name = "N")]
        version: u64,
    },
}

/// How to reach a centre as its operator.
#[derive(Debug, Args)]
struct CentreAccess {
    /// The centre's address.
    #[arg(long, value_name = "https://HOST[:PORT]")]
    url: String,
    /// The roots (PEM) of which one vouches for the centre's certificate.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// A file with an operator's API key, as `siwa keys api` printed it.
    #[arg(long, value_name = "FILE")]
    operator_key_file: PathBuf,
    /// Whose models.
    #[arg(long, value_name = "NAME")]
    tenant: TenantId,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl ModelCommand {
    /// Asks the centre, and prints its answer.
    ///
    /// # Errors
    /// A file that cannot be read, a centre that cannot be reached or refuses.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.act(&mut std::io::stdout().lock()))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn act(self, out: &mut impl Write) -> anyhow::Result<()> {
        match self.action {
            Action::List { centre } => {
                let path = format!("/v1/models/{}", centre.tenant);
                let answer = centre.client()?.get(&path).send().await.context("the centre did not list its models")?;
                let list: ModelList = answer.json().context("the centre did not list its models")?;
                if centre.json {
                    writeln!(out, "{}", serde_json::to_string(&list)?)?;
                } else {
                    write_list(out, &list)?;
                }
            }
            Action::Rollback { centre, version } => {
                let path = format!("/v1/models/{}/rollback", centre.tenant);
                let call = centre.client()?;
                let answer = call.post(&path).json(&Rollback { version }).send().await;
                let pointer: PointerState =
                    answer.and_then(|answer| answer.json()).context("the centre did not move its pointer")?;
                if centre.json {
                    writeln!(out, "{}", serde_json::to_string(&pointer)?)?;
                } else {
                    let PointerState { version, serial, digest } = pointer;
                    writeln!(out, "version {version} is current, serial {serial}\nsha256 {digest}")?;
                }
            }
        }
        Ok(())
    }
}

impl CentreAccess {
    fn client(&self) -> anyhow::Result<Client> {
        let roots = certificates_from_pem_file(&self.ca)?;
        let key = read_api_key(&self.operator_key_file)?;
        let bearer = Some(key.expose().to_owned());
        Ok(Client::new(ClientOptions { bearer, ..ClientOptions::new(self.url.clone(), roots) })?)
    }
}

fn read_api_key(file: &Path) -> anyhow::Result<ApiKey> {
    let named = || format!("the key file {}", file.display());
    let text = Zeroizing::new(std::fs::read_to_string(file).with_context(named)?);
    ApiKey::parse(text.trim()).with_context(named)
}

fn write_list(out: &mut impl Write, list: &ModelList) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["", "version", "made of", "releases", "rho", "epsilon", "bytes", "sha256"]);
    for line in &list.models {
        table.add_row(row(line));
    }
    writeln!(out, "{table}")?;
    match list.pointer {
        Some(pointer) => writeln!(out, "\n* current: version {}, serial {}", pointer.version, pointer.serial)?,
        None => writeln!(out, "\nno model was published yet")?,
    }
    Ok(())
}

fn row(line: &ModelLine) -> [String; 8] {
    let origin = line.origin.as_ref();
    let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        if line.current { "*" } else { "" }.to_owned(),
        line.version.to_string(),
        shown(origin.map(|origin| origin.mode.clone())),
        shown(origin.map(|origin| origin.releases.to_string())),
        shown(origin.map(|origin| format!("{:.4}", origin.rho))),
        shown(origin.and_then(|origin| origin.epsilon).map(|epsilon| format!("{epsilon:.3}"))),
        line.bytes.to_string(),
        line.digest.to_string().chars().take(12).collect(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::{patient, run, server_tls};
    use crate::http::{DevelopmentCa, JsonBody, Problem};
    use axum::http::{HeaderMap, StatusCode, header};
    use axum::routing::post;
    use axum::{Json, Router};
    use clap::Parser;
    use policies::Digest;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        command: ModelCommand,
    }

    const ACCESS: [&str; 6] = ["--ca", "/ca.pem", "--operator-key-file", "/key", "--tenant", "demo"];

    #[test]
    fn arguments_are_checked_before_anyone_is_asked() {
        let parsed = |more: &[&str]| {
            let words = ["model"].iter().chain(more).chain(&ACCESS).chain(&["--url", "https://c"]);
            Line::try_parse_from(words).map(|line| matches!(line.command.action, Action::Rollback { version: 3, .. }))
        };
        assert_eq!(parsed(&["list"]).ok(), Some(false));
        assert_eq!(parsed(&["rollback", "--version", "3"]).ok(), Some(true));
        for bad in [&["rollback"][..], &["rollback", "--version", "-1"], &["list", "--version", "3"]] {
            assert_eq!(parsed(bad).ok(), None, "{bad:?}");
        }
    }

    #[test]
    fn a_list_shows_which_model_is_current() {
        let line = |version, current| ModelLine {
            version,
            digest: Digest::of(b"model"),
            frame: Digest::of(b"frame"),
            bytes: 1000,
            created_ms: 0,
            current,
            origin: None,
        };
        let mut list = ModelList {
            tenant: "demo".parse().unwrap(),
            pointer: Some(PointerState { version: 1, digest: Digest::of(b"model"), serial: 3 }),
            models: vec![line(1, true), line(2, false)],
            last_training: None,
        };
        let text = |list: &ModelList| {
            let mut out = Vec::new();
            write_list(&mut out, list).unwrap();
            String::from_utf8(out).unwrap()
        };
        let lines =
            text(&list).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
        let rows = [
            "version made of releases rho epsilon bytes sha256",
            "* 1 - - - - 1000 9372c470eead",
            "2 - - - - 1000 9372c470eead",
        ];
        assert_eq!(lines[..3], rows);
        assert_eq!(lines[4], "* current: version 1, serial 3");
        (list.pointer, list.models) = (None, vec![]);
        assert!(text(&list).ends_with("no model was published yet\n"));
    }

    /// The command over a real connection, to a centre that knows one key and points wherever it is told.
    #[tokio::test]
    async fn a_roll_back_is_asked_with_the_operators_key_and_printed() {
        let (ca, folder) = (DevelopmentCa::generate().unwrap(), tempfile::tempdir().unwrap());
        let key = ApiKey::generate(&mut rand_core::TryRngCore::unwrap_err(rand_core::OsRng));
        let (roots, key_file) = (folder.path().join("ca.pem"), folder.path().join("key"));
        std::fs::write(&roots, ca.certificate_pem()).unwrap();
        std::fs::write(&key_file, key.expose()).unwrap();
        let expected = format!("Bearer {}", key.expose());
        let point = async move |headers: HeaderMap, JsonBody(Rollback { version }): JsonBody<Rollback>| {
            if version == 9 {
                return Err(Problem::new(StatusCode::NOT_FOUND, "model-unknown", "No model of this version"));
            }
            assert_eq!(headers[header::AUTHORIZATION], expected);
            Ok(Json(PointerState { version, digest: Digest::of(b"model"), serial: 7 }))
        };
        let router = Router::new().route("/v1/models/demo/rollback", post(point));
        let server = run(Some(server_tls(&ca, None)), patient(), router).await;
        let act = async |version: u64, json: bool| {
            let centre = CentreAccess {
                url: format!("https://{}", server.address),
                ca: roots.clone(),
                operator_key_file: key_file.clone(),
                tenant: "demo".parse().unwrap(),
                json,
            };
            let mut out = Vec::new();
            let done = ModelCommand { action: Action::Rollback { centre, version } }.act(&mut out).await;
            done.map(|()| String::from_utf8(out).unwrap()).map_err(|error| format!("{error:#}"))
        };
        let digest = Digest::of(b"model");
        assert_eq!(act(2, false).await, Ok(format!("version 2 is current, serial 7\nsha256 {digest}\n")));
        assert_eq!(act(2, true).await, Ok(format!("{{\"version\":2,\"digest\":\"{digest}\",\"serial\":7}}\n")));
        let refused = "the centre did not move its pointer: refused with status 404: urn:siwa:problem:model-unknown";
        assert_eq!(act(9, false).await, Err(refused.to_owned()));
    }

    #[test]
    fn a_key_file_holds_a_key_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let key = ApiKey::generate(&mut rand_core::TryRngCore::unwrap_err(rand_core::OsRng));
        std::fs::write(&file, format!("{}\n", key.expose())).unwrap();
        assert!(key.hash().is_of(&read_api_key(&file).unwrap()));
        std::fs::write(&file, "siwa_secret").unwrap();
        let error = format!("{:#}", read_api_key(&file).err().unwrap());
        assert!(error.ends_with("a key is siwa_ and 43 characters of base64url") && !error.contains("siwa_secret"));
    }
}
