//! The demo's viewer: account, credential, tokens, and a ranking that nobody can tie to any of them.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use attest::keys::{Jwk, JwkSet};
use attest::opaque::Stretching;
use attest::privacy_pass::TokenType;
use attest::{Answer, SigningKey, VerifyingKey};
use policies::Check;
use rand_core::{OsRng, TryRngCore as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::content::{self, ContentShown};
use crate::client::{Client, ClientOptions};
use crate::cluster::Cluster;
use crate::environment::{Entropy, Environment, NoiseMode};
use crate::identity_client::{ANSWER_BYTES_MAX, Admission, DeviceSession, IdentityClient, IdentityClientError, Trust};

/// The type of the credentials that nodes of the sample policies issue.
const CREDENTIAL_TYPE: &str = "urn:siwa:credential:viewer:1";
const USER: &str = "ann@example.com";
const PASSWORD: &[u8] = b"correct horse battery staple";
const TOKENS: usize = 4;
/// Candidates of the anonymous ranking.
const CANDIDATES: usize = 10;

/// What each step came to, as both sides saw it.
#[derive(Serialize)]
pub(super) struct IdentityShown {
    region: String,
    /// The viewer's pairwise pseudonym, as the platform sees it in the verified assertion.
    subject: String,
    /// Claims that the viewer's credential can show.
    credential_claims: Vec<String>,
    /// What the platform was told of the one that it asked about.
    age_over_18: bool,
    tokens: usize,
    /// What was ranked obliviously with a token and nothing else, first three.
    ranked: Vec<String>,
    /// How the same token fared a second time.
    second_use: String,
    /// Key epochs in the region's signed log.
    key_epochs: usize,
}

/// Walks one viewer through the identity service of the cluster's first node, and looks clips up with the tokens left.
pub(super) async fn show(cluster: &Cluster, items: &[String]) -> anyhow::Result<(IdentityShown, ContentShown)> {
    let node = &cluster.listening()[1];
    let options = || ClientOptions {
        answer_bytes_max: ANSWER_BYTES_MAX,
        ..ClientOptions::new(node.url.clone(), cluster.roots())
    };
    let bearer = Some(cluster.api_key().to_owned());
    let platform = Client::new(ClientOptions { bearer, ..options() })?;
    let environment = Environment {
        clock: cluster.clock().clone(),
        entropy: Entropy::Os,
        noise: NoiseMode::Calibrated,
        stop_at: None,
    };
    let device = Client::new(options())?;
    let device =
        IdentityClient::new(device, cluster.tenant().clone(), Stretching::recommended(), Arc::new(environment));

    // The platform invites its viewer, and says what it knows; the viewer makes an account and logs in.
    let invite = invite(&platform).await?;
    device.register(USER, PASSWORD, Admission::Invite(&invite)).await.context("the viewer cannot register")?;
    let logged_in = device.login(USER, PASSWORD, "demo-login").await.context("the viewer cannot log in")?;
    let platform_keys = PlatformKeys::fetch(&platform, cluster, &node.name).await?;
    let login = platform_keys.verify(&logged_in.assertion)?;

    // A credential, of which the platform is told one thing.
    let keys = device.keys(&Trust::default()).await.context("the region's keys are refused")?;
    let holder = SigningKey::generate(&mut OsRng.unwrap_err());
    let credential = device.credential(&keys, &logged_in.access, &holder, CREDENTIAL_TYPE).await?;
    let way = device.oblivious(&keys, None).await?;
    let checked = device.check(&keys, &credential.text, &holder, Check::AgeOver18, None, &way).await?;
    let age = platform_keys.verify(&checked.answer)?;

    // Tokens, one of which ranks through a capsule.
    let access = checked.access.context("the check held, so it opens tokens")?;
    let tokens = device.tokens(&keys, &access, TokenType::BlindRsa2048, TOKENS).await?;
    let session = DeviceSession::begin(&way, &tokens[0]).await?;
    let candidates: Vec<String> = items.iter().take(CANDIDATES).cloned().collect();
    let ranking = session.rank(&candidates).await?;
    session.end().await?;
    let second_use = match DeviceSession::begin(&way, &tokens[0]).await {
        Ok(_) => anyhow::bail!("a token began two sessions"),
        Err(IdentityClientError::Call(error)) => error.problem().unwrap_or("refused").to_owned(),
        Err(error) => return Err(error.into()),
    };
    let content = content::show(&device, &way, &tokens[1..]).await.context("the private list")?;
    let shown = IdentityShown {
        region: node.name.clone(),
        subject: login.sub.context("an assertion names its subject")?,
        credential_claims: credential.claims,
        age_over_18: age.result["holds"] == true,
        tokens: tokens.len(),
        ranked: ranking.order.into_iter().take(3).map(|ranked| ranked.item).collect(),
        second_use,
        key_epochs: keys.log().epochs().len(),
    };
    Ok((shown, content))
}

async fn invite(platform: &Client) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Invited {
        invite: String,
    }
    let claims = json!({"claims": {"age_over_18": true, "subscriber_tier": "premium"}});
    let invited: Invited = platform.post("/v1/identity/invites").json(&claims).send().await?.json()?;
    Ok(invited.invite)
}

/// What a platform verifies answers with.
struct PlatformKeys {
    keys: Vec<VerifyingKey>,
    issuer: String,
    audience: String,
    now_ms: u64,
}

impl PlatformKeys {
    async fn fetch(platform: &Client, cluster: &Cluster, region: &str) -> anyhow::Result<Self> {
        let set: JwkSet = platform.get("/.well-known/jwks.json").send().await?.json()?;
        let keys = set.keys.iter().map(|jwk: &Jwk| VerifyingKey::try_from(jwk)).collect::<Result<_, _>>()?;
        let (issuer, audience) = (format!("{region}-1"), cluster.tenant().to_string());
        Ok(Self { keys, issuer, audience, now_ms: cluster.clock().now_ms() })
    }

    fn verify(&self, answer: &str) -> anyhow::Result<Answer<Value>> {
        let read = |key| Answer::verify_own(answer, key, &self.issuer, &self.audience, self.now_ms).ok();
        self.keys.iter().find_map(read).context("an answer of the node does not verify")
    }
}

impl IdentityShown {
    /// The steps, for people.
    pub(super) fn table(&self) -> String {
        let Self { region, subject, credential_claims, age_over_18, tokens, ranked, second_use, key_epochs } = self;
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["one viewer in", region, "the node learned", "the platform learned"]);
        let short: String = subject.chars().take(8).collect();
        let claims = credential_claims.join(", ");
        let rows = [
            ["account", "OPAQUE: registered and logged in", "a name, no password", &format!("pseudonym {short}…")],
            [
                "credential",
                &format!("SD-JWT VC: {claims}"),
                "one claim, and forgot it",
                &format!("over 18: {age_over_18}"),
            ],
            ["tokens", &format!("{tokens} by blind RSA"), "how many, not which", "nothing"],
            ["ranking", &ranked.join(", "), "a token, not whose", "nothing"],
            ["the token again", second_use, "that it was spent", ""],
        ];
        for row in rows {
            table.add_row(row);
        }
        let mut text = table.to_string();
        write!(
            text,
            "\n{key_epochs} key epochs in the region's signed log. The capsule went straight to the node: addresses are \
             hidden only behind a relay that somebody else runs.\n"
        )
        .expect("writing to a string never fails");
        text
    }
}
