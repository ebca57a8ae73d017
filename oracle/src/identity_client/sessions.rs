//! Sessions of a device of its own: an anonymous token begins one, and its name is then the key to it.

use attest::privacy_pass::{Token, header};
use policies::Digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{IdentityClientError, Secret, Way};

const SESSIONS: &str = "/v1/sessions";
const RANK: &str = "/v1/rank";

/// A session that lives at the node.
pub(crate) struct DeviceSession<'a> {
    way: &'a Way<'a>,
    name: Secret,
}

/// A ranking.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ranking {
    /// Every candidate, the first to be shown first.
    pub(crate) order: Vec<RankedItem>,
    /// How the session is ranked.
    pub(crate) arm: String,
    /// Version of the model that ranked.
    pub(crate) model: u64,
    /// Digest of the policy in force.
    pub(crate) policy: Digest,
}

/// One candidate in its place.
#[derive(Serialize, Deserialize)]
pub(crate) struct RankedItem {
    /// The candidate's id.
    pub(crate) item: String,
    /// Expected reward.
    pub(crate) score: f32,
    /// Probability with which it was put first.
    pub(crate) propensity: f32,
}

#[derive(Serialize)]
struct Begin {}

#[derive(Deserialize)]
struct Begun {
    session: Secret,
}

#[derive(Serialize)]
struct RankRequest<'a> {
    session: &'a str,
    candidates: &'a [String],
}

/// No signals.
#[derive(Serialize)]
struct End {
    signals: [(); 0],
}

impl<'a> DeviceSession<'a> {
    /// Begins a session, which spends the token.
    ///
    /// # Errors
    /// A call that was refused.
    pub(crate) async fn begin(way: &'a Way<'a>, token: &Token) -> Result<Self, IdentityClientError> {
        let authorization = header::format_authorization(token);
        let Begun { session: name } = way.post(SESSIONS, Some(&authorization), &Begin {}).await?.json()?;
        Ok(Self { way, name })
    }

    /// Ranks candidates by their ids.
    ///
    /// # Errors
    /// A call that was refused.
    pub(crate) async fn rank(&self, candidates: &[String]) -> Result<Ranking, IdentityClientError> {
        let request = RankRequest { session: &self.name, candidates };
        Ok(self.way.post(RANK, Some(&self.bearer()), &request).await?.json()?)
    }

    /// Ends the session, which is then counted if it may be.
    ///
    /// # Errors
    /// A call that was refused.
    pub(crate) async fn end(self) -> Result<(), IdentityClientError> {
        let path = format!("{SESSIONS}/{}/end", &*self.name);
        self.way.post(&path, Some(&self.bearer()), &End { signals: [] }).await?;
        Ok(())
    }

    fn bearer(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", &*self.name))
    }
}
