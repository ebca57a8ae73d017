//! The statement by which evidence of a TPM is believed: kept in memory, and in a file where the config names one.

use std::io;
use std::path::{Path, PathBuf};

use attest::enrolment::EnrolmentClaims;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{TpmAttester, TpmAttesterError, read};

/// A statement that ends sooner is renewed: a quote takes a while, and clocks differ.
const MARGIN_SECONDS: u64 = 300;
/// After a refusal a statement is asked for anew, unless the last one is younger: the centre means something else.
const ANEW_MS: u64 = 300_000;

/// A statement, and when this process got it; nothing where it stood in the file.
pub(super) struct Statement {
    pub(super) token: String,
    given_ms: Option<u64>,
}

impl Statement {
    /// When it ends by its own word, Unix seconds. Whom evidence is shown to verifies it; this only saves a refusal.
    fn end(&self) -> Option<u64> {
        let payload = URL_SAFE_NO_PAD.decode(self.token.split('.').nth(1)?).ok()?;
        Some(serde_json::from_slice::<EnrolmentClaims>(&payload).ok()?.exp)
    }
}

impl TpmAttester {
    /// From now on evidence carries this statement. It is kept in the file, if one is named; that it cannot be written
    /// there is logged, and means one more enrolment after a restart.
    pub async fn enrolled(&self, token: String, now_ms: u64) {
        if let Some(path) = &self.options.enrolment
            && let Err(error) = write(path, &token).await
        {
            tracing::warn!(path = %path.display(), %error, "the statement on the TPM's key is not kept in its file");
        }
        self.statement.store(Some(Statement { token, given_ms: Some(now_ms) }.into()));
    }

    /// Whether there is a statement, and its time is not about to run out.
    #[must_use]
    pub fn is_enrolled(&self, now_ms: u64) -> bool {
        let end = self.statement.load().as_ref().and_then(|statement| statement.end());
        end.is_some_and(|end| now_ms / 1000 + MARGIN_SECONDS < end)
    }

    /// Whether a statement that was refused may be the reason: it is not one that this process was given just now.
    #[must_use]
    pub fn may_enrol_anew(&self, now_ms: u64) -> bool {
        let given_ms = self.statement.load().as_ref().and_then(|statement| statement.given_ms);
        given_ms.is_none_or(|given_ms| now_ms.saturating_sub(given_ms) >= ANEW_MS)
    }

    /// The statement that the file holds, if there is one yet.
    pub(super) fn kept(path: &Path) -> Result<Option<Statement>, TpmAttesterError> {
        let unreadable = |error| TpmAttesterError::File(path.to_owned(), error);
        let bytes = match read(path, attest::jws::TOKEN_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(unreadable)?,
        };
        let text = String::from_utf8(bytes).map_err(|_| unreadable(io::ErrorKind::InvalidData.into()))?;
        Ok(Some(Statement { token: text.trim().to_owned(), given_ms: None }))
    }
}

/// Whole or not at all: the file is put in place of the old one.
async fn write(path: &Path, token: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    tokio::fs::write(&new, format!("{token}\n")).await?;
    tokio::fs::rename(&new, path).await
}
