//! The files that a device keeps: a password, what a login gave, tokens, and the log of keys it has seen.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use attest::opaque::PASSWORD_BYTES_MAX;
use attest::privacy_pass::{Token, TokenType};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::TenantId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::identity_client::Secret;

/// Tokens of one file.
const TOKENS_MAX: usize = 4096;
/// Bytes of any file here, far above what any of them comes to; a log of many years is the longest.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A password from a file, or from standard input where its name is `-`. One line break at its end is not part of it.
pub(super) fn read_password(file: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let bytes_max = PASSWORD_BYTES_MAX as u64 + 3;
    let mut password = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 3));
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(bytes_max).read_to_end(&mut password)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(bytes_max).read_to_end(&mut password))
    };
    read.with_context(|| format!("the password file {}", file.display()))?;
    let line = password.strip_suffix(b"\n").unwrap_or(&password);
    let bytes = line.strip_suffix(b"\r").unwrap_or(line).len();
    password.truncate(bytes);
    Ok(password)
}

/// What a login or a check gave. `assertion` is for the platform, `access` for the service alone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessFile {
    pub(super) assertion: String,
    pub(super) access: Secret,
    pub(super) expires_s: u64,
}

impl AccessFile {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        read_json(file)?.with_context(|| format!("there is no file {}", file.display()))
    }

    pub(super) fn write(&self, file: &Path) -> anyhow::Result<()> {
        write_json(file, self)
    }
}

/// Tokens that wait to be used. One process at a time works on a file.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenFile {
    tokens: Vec<KeptToken>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptToken {
    tenant: TenantId,
    r#type: u16,
    token: Secret,
}

impl TokenFile {
    /// Puts tokens behind those that the file holds already, and says how many it holds now.
    pub(super) fn append(file: &Path, tenant: &TenantId, tokens: &[Token]) -> anyhow::Result<usize> {
        let mut kept: Self = read_json(file)?.unwrap_or_default();
        if kept.tokens.len() + tokens.len() > TOKENS_MAX {
            bail!("{} would hold more than {TOKENS_MAX} tokens", file.display());
        }
        kept.tokens.extend(tokens.iter().map(|token| KeptToken {
            tenant: tenant.clone(),
            r#type: token.token_type().code(),
            token: URL_SAFE_NO_PAD.encode(token.to_bytes()).into(),
        }));
        write_json(file, &kept)?;
        Ok(kept.tokens.len())
    }

    /// Takes the first token for this tenant out of the file, for good: whatever becomes of it, it is not shown twice.
    pub(super) fn take(file: &Path, tenant: Option<&TenantId>) -> anyhow::Result<Token> {
        let mut kept: Self = read_json(file)?.with_context(|| format!("there is no file {}", file.display()))?;
        let found = kept.tokens.iter().position(|kept| tenant.is_none_or(|tenant| kept.tenant == *tenant));
        let found = found.with_context(|| format!("{} holds no such token: fetch some", file.display()))?;
        let taken = kept.tokens.remove(found);
        write_json(file, &kept)?;
        let bytes = URL_SAFE_NO_PAD.decode(&*taken.token).map(Zeroizing::new);
        let token = Token::parse(&bytes.with_context(|| format!("a token of {}", file.display()))?)?;
        if TokenType::from_code(taken.r#type) != Some(token.token_type()) {
            bail!("a token of {} is of another type than it says", file.display());
        }
        Ok(token)
    }
}

/// The log of keys as it was last seen, one statement a line; nothing is remembered without a file.
pub(super) struct Seen {
    file: Option<PathBuf>,
    text: String,
}

impl Seen {
    pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else { return Ok(Self { file: None, text: String::new() }) };
        let text = read_bounded(file)?.unwrap_or_default();
        let text = String::from_utf8(text.to_vec()).with_context(|| format!("the file {}", file.display()))?;
        Ok(Self { file: Some(file.to_owned()), text })
    }

    pub(super) fn statements(&self) -> Vec<String> {
        self.text.lines().map(str::to_owned).collect()
    }

    pub(super) fn remember(&self, statements: &[String]) -> anyhow::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let text: String = statements.iter().flat_map(|statement| [statement, "\n"]).collect();
        if text == self.text { Ok(()) } else { replace(file, text.as_bytes()) }
    }
}

fn read_bounded(file: &Path) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
    let named = || format!("the file {}", file.display());
    let opened = match std::fs::File::open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.with_context(named)?,
    };
    let mut bytes = Zeroizing::new(Vec::new());
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).with_context(named)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("the file {} is longer than {FILE_BYTES_MAX} bytes", file.display());
    }
    Ok(Some(bytes))
}

/// Nothing where there is no such file.
fn read_json<T: for<'de> Deserialize<'de>>(file: &Path) -> anyhow::Result<Option<T>> {
    let Some(bytes) = read_bounded(file)? else { return Ok(None) };
    // Without the parser's words, which could quote a secret.
    let parsed = serde_json::from_slice(&bytes).ok();
    parsed.map(Some).with_context(|| format!("the file {} is not of its form", file.display()))
}

fn write_json<T: Serialize>(file: &Path, value: &T) -> anyhow::Result<()> {
    let text = Zeroizing::new(serde_json::to_vec(value)?);
    replace(file, &text)
}

/// Writes a file of mode 0600 in place of what is there: all of it, or nothing.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let named = || format!("cannot write {}", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // It makes its files for their owner alone.
    let mut whole = tempfile::NamedTempFile::new_in(folder).with_context(named)?;
    whole.write_all(bytes).and_then(|()| whole.as_file().sync_all()).with_context(named)?;
    whole.persist(file).with_context(named)?;
    Ok(())
}
