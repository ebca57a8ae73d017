//! Evaluations of a private list, each call paid for by a token, beside the evaluation alone.

use std::time::Duration;

use anyhow::Context as _;
use attest::VerifyingKey;
use attest::content::list::{
    BlindedElement, Evaluation, Identifier, ListExpectation, ListKey, ListManifest, ListName, PendingCheck,
};
use attest::keys::Jwk;
use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::TenantId;
use rand_core::{OsRng, TryRngCore as _};
use serde::Deserialize;
use serde_json::json;

use super::cpu::Work;
use super::service::{Service, TENANT};
use super::tokens::{Redemptions, generator};
use crate::cli::bench::load::{Asked, Request};
use crate::client::{Client, ClientError};

const LIST: &str = "demo-blocked";
const PATH: &str = "/v1/content/lists/demo-platform/demo-blocked";
const EVALUATIONS: &str = "/v1/content/lists/demo-platform/demo-blocked/evaluations";

/// One question over and over, each time with another token: a node remembers nothing of what it evaluated.
pub(super) struct Evaluations {
    body: Bytes,
    tokens: Redemptions,
}

#[derive(Deserialize)]
struct Evaluated {
    elements: Vec<String>,
    proof: String,
}

fn identifiers(count: usize) -> anyhow::Result<Vec<Identifier>> {
    (0..count).map(|number| Ok(Identifier::new(format!("clip-{number}").as_bytes())?)).collect()
}

fn array<const N: usize>(text: &str) -> anyhow::Result<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text)?.try_into().map_err(|_| anyhow::anyhow!("the answer is of another form"))
}

impl Evaluations {
    /// Questions of `count` elements. The first is checked whole.
    pub(super) async fn of(service: &Service, count: usize, duration: Duration) -> anyhow::Result<Self> {
        let client = Client::new(service.client_options())?;
        let key: Jwk = client.get(&format!("{PATH}/key")).send().await?.json()?;
        let key = VerifyingKey::try_from(&key)?;
        let manifest = client.get(&format!("{PATH}/manifest")).send().await?.body;
        let (tenant, list): (TenantId, ListName) = (TENANT.parse()?, LIST.parse()?);
        let expected = ListExpectation { tenant: &tenant, list: &list, epoch_min: 1, last: None };
        let now_ms = service.node.environment.clock.now_ms();
        let manifest = ListManifest::verify(std::str::from_utf8(&manifest)?, &key, &expected, now_ms)?;
        let (elements, pending) = PendingCheck::new(identifiers(count)?, &mut OsRng.unwrap_err())?;
        let elements: Vec<String> = elements.iter().map(|element| URL_SAFE_NO_PAD.encode(element)).collect();
        let body = serde_json::to_vec(&json!({"epoch": manifest.epoch, "elements": elements}))?;
        let evaluations = Self { body: body.into(), tokens: Redemptions::mint(service, duration)? };
        let answer: Evaluated = evaluations.next().context("no token was made")?.send(&client).await?.json()?;
        let elements = answer.elements.iter().map(|text| array(text)).collect::<Result<_, _>>()?;
        pending.finalize(&Evaluation { elements, proof: array(&answer.proof)? }, &manifest.key)?;
        Ok(evaluations)
    }

    fn next(&self) -> Option<Request> {
        let authorization = Some(self.tokens.next()?);
        Some(Request { authorization, ..Request::json(EVALUATIONS, self.body.clone()) })
    }
}

impl Asked for Evaluations {
    type State = ();

    async fn prepare(&self, _: &Client, (): &mut ()) -> Result<(), ClientError> {
        Ok(())
    }

    fn request(&self, (): &mut ()) -> Option<Request> {
        self.next()
    }
}

/// [`ListKey::evaluate`] of `count` elements with their proof, from the bytes that were sent; counted in elements.
pub(super) fn primitive(count: usize, duration: Duration) -> anyhow::Result<Work> {
    let mut rng = generator()?;
    let key = ListKey::generate(&mut rng);
    let (sent, _) = PendingCheck::new(identifiers(count)?, &mut rng)?;
    let work = Work::during(duration, || {
        let elements = sent.iter().map(|bytes| BlindedElement::parse(bytes)).collect::<Result<Vec<_>, _>>()?;
        std::hint::black_box(key.evaluate(&elements, &mut rng).context("an evaluation was refused")?);
        Ok(())
    })?;
    Ok(Work { times: work.times * count as u64, ..work })
}
