//! `siwa client list`.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use attest::VerifyingKey;
use attest::content::list::{Identifier, ListName};
use clap::{Args, Subcommand};
use policies::Digest;
use ring::digest::{Context, SHA256};
use serde_json::json;

use super::files::TokenFile;
use super::{Pins, Reach, Route};
use crate::environment::Environment;
use crate::identity_client::{IdentityClient, IdentityClientError, ListQuestion, ListTrust, PrivateList, Way};

/// Refusals that are said before the token is looked at: the epoch was replaced between the manifest and the question.
const UNSPENT: [&str; 2] = ["list-epoch-ended", "list-epoch-unknown"];

/// Ask whether a clip stands in a private list of the platform.
#[derive(Args)]
pub(super) struct List {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Check(Box<Check>),
}

/// Ask about one clip: prints yes or no, and spends one token.
///
/// The node learns that somebody asked, and not about what: the clip's identifier is blinded. Whoever serves the bucket
/// learns up to 16 bits of a hash of the identifier, which narrows a known catalogue: have it come from a cache of somebody
/// else (`--buckets`), or through a relay. The list stays unknown here: manifest, bucket and proof are verified, and one
/// bit comes of it.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa client list check --url https://node.example --ca ca.pem --tenant \
                        demo-platform --list demo-blocked --tokens tokens.json --relay https://relay.example clip.mp4")]
struct Check {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pins: Pins,
    #[command(flatten)]
    route: Route,
    /// The list.
    #[arg(long, value_name = "NAME")]
    list: ListName,
    /// The key that signs the list's manifests, as the operator published it elsewhere. Without it, the node is believed.
    #[arg(long, value_name = "KEY")]
    list_key: Option<VerifyingKey>,
    /// The lowest epoch that is believed: the one that was printed last.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    epoch_min: u64,
    /// Where manifest and buckets come from: a cache in front of the node. Without it they come by the same way as the
    /// evaluation.
    #[arg(long, value_name = "https://HOST[:PORT]")]
    buckets: Option<String>,
    /// What `tokens` wrote.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// Take CLIP for an id of the platform, as it stands.
    #[arg(long)]
    id: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// The clip: its SHA-256 digest (64 hexadecimal digits), or a file, whose digest is taken.
    #[arg(value_name = "CLIP")]
    clip: String,
}

impl List {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let Action::Check(check) = self.action;
        check.act(environment, out).await
    }
}

impl Check {
    async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let identifier = identifier(&self.clip, self.id)?;
        let (device, relay) = (self.reach.device(environment)?, self.route.relay(&self.reach)?);
        let trust = ListTrust { key: self.list_key, epoch_min: self.epoch_min };
        // 1. The ways, before anything of the list is asked: nothing of it goes by another.
        let way = self.route.way(&device, relay.as_ref(), &self.pins).await?;
        let cache = self.buckets.as_deref().map(|url| self.reach.client(url)).transpose()?;
        let cache = cache.as_ref().map(Way::Direct);
        let buckets = cache.as_ref().unwrap_or(&way);
        // 2. What costs nothing.
        let list = device.list(&self.list, &trust, (buckets, &way)).await.context("the list")?;
        let question = device.list_question(&list, identifier, buckets).await.context("the bucket")?;
        // 3. What costs a token.
        let listed = pay(&device, &list, question, &self.tokens, &way).await?;
        let manifest = &list.manifest;
        if self.json {
            let shown = json!({
                "list": manifest.list, "meaning": manifest.meaning, "epoch": manifest.epoch, "listed": listed,
            });
            return Ok(writeln!(out, "{shown}")?);
        }
        writeln!(out, "{}", if listed { "yes" } else { "no" })?;
        Ok(writeln!(out, "by epoch {0}: next time, --epoch-min {0}", manifest.epoch)?)
    }
}

/// Asks with a token of the file, which is back in it where the node says that it looked at none.
async fn pay(
    device: &IdentityClient,
    list: &PrivateList,
    question: ListQuestion,
    tokens: &Path,
    way: &Way<'_>,
) -> anyhow::Result<bool> {
    let token = TokenFile::take(tokens, Some(device.tenant()))?;
    match device.is_listed(list, question, &token, way).await {
        Err(IdentityClientError::Call(error)) if UNSPENT.iter().any(|kind| error.problem() == Some(kind)) => {
            TokenFile::append(tokens, device.tenant(), &[token])?;
            Err(anyhow::Error::new(error).context("no answer; the token is kept: ask again"))
        }
        listed => listed.context("no answer"),
    }
}

/// What is asked about.
fn identifier(clip: &str, is_id: bool) -> anyhow::Result<Identifier> {
    if is_id {
        return Ok(Identifier::new(clip.as_bytes())?);
    }
    if let Ok(digest) = clip.to_ascii_lowercase().parse::<Digest>() {
        return Ok(Identifier::from(&digest));
    }
    let file = Path::new(clip);
    if !file.is_file() {
        bail!("it is neither a SHA-256 digest nor a file; with --id it is taken for an id");
    }
    Ok(Identifier::from(&digest_of(file).with_context(|| format!("the file {}", file.display()))?))
}

/// SHA-256 of a file of any length.
fn digest_of(file: &Path) -> std::io::Result<Digest> {
    let (mut file, mut context, mut part) = (File::open(file)?, Context::new(&SHA256), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            break;
        }
        context.update(&part[..read]);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(Digest::from_bytes(digest))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::{any_service, post};

    use super::*;
    use crate::http::Problem;
    use crate::identity_client::list_tests;

    /// A token is gone but where the node says, before it looks at one, that the epoch is another.
    #[tokio::test]
    async fn a_token_that_was_not_looked_at_is_kept() {
        let files = tempfile::tempdir().unwrap();
        let tokens = files.path().join("tokens");
        type Refused = Option<(StatusCode, &'static str)>;
        let refusals: [(Refused, &str, bool); 4] = [
            (None, "true", false),
            (Some((StatusCode::CONFLICT, "list-epoch-ended")), "no answer; the token is kept: ask again", true),
            (Some((StatusCode::CONFLICT, "list-epoch-unknown")), "no answer; the token is kept: ask again", true),
            (Some((StatusCode::UNAUTHORIZED, "token-refused")), "no answer", false),
        ];
        for (refusal, said, kept) in refusals {
            let (mut router, _) = list_tests::Service::honest().router();
            if let Some((status, kind)) = refusal {
                let refuse = async move || Problem::new(status, kind, "Refused");
                router = Router::new()
                    .route(&format!("{}/evaluations", list_tests::PATH), post(refuse))
                    .route("/{*rest}", any_service(router));
            }
            let (_server, device) = list_tests::device(router).await;
            let way = device.direct();
            let (name, trust) = ("blocked".parse().unwrap(), ListTrust::default());
            let list = device.list(&name, &trust, (&way, &way)).await.unwrap();
            let question = device.list_question(&list, list_tests::identifier("clip-1"), &way).await.unwrap();
            TokenFile::append(&tokens, device.tenant(), &[list_tests::token()]).unwrap();
            let paid = pay(&device, &list, question, &tokens, &way).await;
            assert_eq!(paid.map_or_else(|error| error.to_string(), |listed| listed.to_string()), said);
            let taken = TokenFile::take(&tokens, None).ok().map(|token| token.to_bytes());
            assert_eq!(taken, kept.then(|| list_tests::token().to_bytes()), "{said}");
        }
    }

    #[test]
    fn a_clip_is_a_digest_a_file_or_an_id() {
        let shown = |clip: &str, is_id| identifier(clip, is_id).map(|found| found.as_bytes().to_vec()).ok();
        let digest = Digest::of(b"a clip");
        let bytes = Some(digest.as_bytes().to_vec());
        assert_eq!(shown(&digest.to_string(), false), bytes);
        assert_eq!(shown(&digest.to_string().to_uppercase(), false), bytes);
        assert_eq!(shown(&digest.to_string(), true), Some(digest.to_string().into_bytes()));
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("clip");
        std::fs::write(&file, b"a clip").unwrap();
        assert_eq!(shown(file.to_str().unwrap(), false), bytes);
        assert_eq!(shown("clip-1", true), Some(b"clip-1".to_vec()));
        assert_eq!([shown("clip-1", false), shown("", true), shown(&"x".repeat(257), true)], [None, None, None]);
    }
}
