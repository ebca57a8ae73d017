//! The HTTP authentication scheme `PrivateToken` (RFC 9577 §2.1, §2.2; grammar RFC 9110 §11).
//!
//! Parameters are written as quoted strings of base64url with padding: `=` may not stand in an unquoted one. Both
//! forms are read, with padding and without, because clients send both.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::{InvalidChallenge, InvalidPublicKey, PublicKey, Token, TokenChallenge, WireError};

/// The scheme's name; compared without regard to case (RFC 9110 §11.1).
pub const SCHEME: &str = "PrivateToken";
/// A `WWW-Authenticate` field: a few challenges, each with at most 1,764 characters of challenge and 456 of key.
pub const WWW_AUTHENTICATE_BYTES_MAX: usize = 16 * 1024;
/// Challenges of this scheme in one field.
pub const CHALLENGES_MAX: usize = 8;
/// Parameters of one challenge.
const PARAMETERS_MAX: usize = 16;
/// An `Authorization` field: the longest token has 472 characters; room for other parameters.
pub const AUTHORIZATION_BYTES_MAX: usize = 1024;

/// Reads with padding and without; unused bits must be zero.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a field's value is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Over its limit, or more challenges or parameters than theirs.
    #[error("the field is too long")]
    TooLong,
    /// Not the grammar of RFC 9110 §11, or a parameter stands twice.
    #[error("the field is not a list of challenges or credentials")]
    Grammar,
    /// Credentials of another scheme.
    #[error("the credentials are of another scheme than PrivateToken")]
    Scheme,
    /// A parameter that the scheme requires is missing.
    #[error("a required parameter is missing")]
    Missing,
    /// A parameter is not base64url, or not a number where one is due.
    #[error("a parameter is not base64url or not a number")]
    Encoding,
    /// The challenge's content.
    #[error("the challenge is invalid")]
    Challenge(#[source] InvalidChallenge),
    /// The key's content.
    #[error("the token key is invalid")]
    Key(#[source] InvalidPublicKey),
    /// The token's content.
    #[error("the token is invalid")]
    Token(#[source] WireError),
}

/// One challenge of a `WWW-Authenticate` field: what is asked for, and the issuer's key that the origin names. A
/// client compares the key with the issuer's directory before it uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedChallenge {
    /// What is asked for.
    pub challenge: TokenChallenge,
    /// `token-key`, of the challenge's type.
    pub key: PublicKey,
    /// `max-age`: for how many seconds the origin accepts tokens for it, if it says.
    pub max_age_seconds: Option<u32>,
}

impl OfferedChallenge {
    fn read(challenge: TokenChallenge, parameters: &[Parameter<'_>]) -> Result<Self, HeaderError> {
        let key = decode(value_of(parameters, "token-key").ok_or(HeaderError::Missing)?)?;
        let key = PublicKey::parse(challenge.token_type(), &key).map_err(HeaderError::Key)?;
        let max_age_seconds = match value_of(parameters, "max-age") {
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(text.parse().map_err(|_| HeaderError::Encoding)?)
            }
            Some(_) => return Err(HeaderError::Encoding),
            None => None,
        };
        Ok(Self { challenge, key, max_age_seconds })
    }
}

/// The value of `WWW-Authenticate` that offers these challenges, the preferred one first.
#[must_use]
pub fn format_www_authenticate(offers: &[OfferedChallenge]) -> String {
    let mut value = String::new();
    for offer in offers {
        if !value.is_empty() {
            value.push_str(", ");
        }
        value.push_str(SCHEME);
        value.push_str(" challenge=\"");
        URL_SAFE.encode_string(offer.challenge.to_bytes(), &mut value);
        value.push_str("\", token-key=\"");
        URL_SAFE.encode_string(offer.key.as_bytes(), &mut value);
        value.push('"');
        if let Some(seconds) = offer.max_age_seconds {
            value.push_str(&format!(", max-age={seconds}"));
        }
    }
    value
}

/// Reads a `WWW-Authenticate` field, for a client. Challenges of other schemes and for unknown types of token are left
/// out, as RFC 9577 §2.1 asks; none may remain.
///
/// # Errors
/// [`HeaderError`]; a challenge of a known type that is otherwise bad spoils the field.
pub fn parse_www_authenticate(value: &str) -> Result<Vec<OfferedChallenge>, HeaderError> {
    if value.len() > WWW_AUTHENTICATE_BYTES_MAX {
        return Err(HeaderError::TooLong);
    }
    let mut offers = Vec::new();
    for item in items(value)? {
        if !item.scheme.eq_ignore_ascii_case(SCHEME) {
            continue;
        }
        let challenge = decode(value_of(&item.parameters, "challenge").ok_or(HeaderError::Missing)?)?;
        let challenge = match TokenChallenge::parse(&challenge) {
            Err(InvalidChallenge::TokenType) => continue,
            parsed => parsed.map_err(HeaderError::Challenge)?,
        };
        if offers.len() == CHALLENGES_MAX {
            return Err(HeaderError::TooLong);
        }
        offers.push(OfferedChallenge::read(challenge, &item.parameters)?);
    }
    Ok(offers)
}

/// The value of `Authorization` that presents this token.
#[must_use]
pub fn format_authorization(token: &Token) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::with_capacity(AUTHORIZATION_BYTES_MAX));
    value.push_str(SCHEME);
    value.push_str(" token=\"");
    URL_SAFE.encode_string(token.to_bytes(), &mut value);
    value.push('"');
    value
}

/// Reads an `Authorization` field. Parameters other than `token` are ignored.
///
/// # Errors
/// [`HeaderError`].
pub fn parse_authorization(value: &str) -> Result<Token, HeaderError> {
    if value.len() > AUTHORIZATION_BYTES_MAX {
        return Err(HeaderError::TooLong);
    }
    let items = items(value)?;
    let [item] = items.as_slice() else { return Err(HeaderError::Grammar) };
    if !item.scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(HeaderError::Scheme);
    }
    let token = decode(value_of(&item.parameters, "token").ok_or(HeaderError::Missing)?)?;
    Token::parse(&Zeroizing::new(token)).map_err(HeaderError::Token)
}

fn decode(text: &str) -> Result<Vec<u8>, HeaderError> {
    BASE64URL.decode(text).map_err(|_| HeaderError::Encoding)
}

/// One challenge or credentials: a scheme and its parameters; a token68 in their place is skipped.
struct Item<'a> {
    scheme: &'a str,
    parameters: Vec<Parameter<'a>>,
}

struct Parameter<'a> {
    name: &'a str,
    value: &'a str,
}

fn value_of<'a>(parameters: &[Parameter<'a>], name: &str) -> Option<&'a str> {
    parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name)).map(|parameter| parameter.value)
}

/// The field's list of `scheme [ 1*SP ( token68 / #auth-param ) ]`. What follows a comma belongs to the scheme before
/// it if it is `name=`, and begins a new one if not.
fn items(value: &str) -> Result<Vec<Item<'_>>, HeaderError> {
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut rest = skip_separators(value);
    while !rest.is_empty() {
        let (name, after) = split_while(rest, is_tchar);
        if name.is_empty() {
            return Err(HeaderError::Grammar);
        }
        let end = if let Some(after) = skip_spaces(after).strip_prefix('=') {
            read_parameter(items.last_mut().ok_or(HeaderError::Grammar)?, name, after)?
        } else {
            let mut item = Item { scheme: name, parameters: Vec::new() };
            let end = read_first(&mut item, after)?;
            items.push(item);
            end
        };
        let end = skip_spaces(end);
        if !end.is_empty() && !end.starts_with(',') {
            return Err(HeaderError::Grammar);
        }
        rest = skip_separators(end);
    }
    Ok(items)
}

/// Reads what stands behind a scheme and before a comma: nothing, a token68 or a parameter. Returns what follows.
fn read_first<'a>(item: &mut Item<'a>, after: &'a str) -> Result<&'a str, HeaderError> {
    let unspaced = skip_spaces(after);
    if unspaced.is_empty() || unspaced.starts_with(',') {
        return Ok(unspaced);
    }
    if unspaced.len() == after.len() {
        return Err(HeaderError::Grammar);
    }
    if let Some(end) = skip_token68(unspaced) {
        return Ok(end);
    }
    let (name, after) = split_while(unspaced, is_tchar);
    match skip_spaces(after).strip_prefix('=') {
        Some(after) if !name.is_empty() => read_parameter(item, name, after),
        _ => Err(HeaderError::Grammar),
    }
}

/// Reads the value after a name's `=`, and returns what follows it. An unquoted value may hold `=`, against the
/// grammar, for the sake of clients that do not quote padded base64url.
fn read_parameter<'a>(item: &mut Item<'a>, name: &'a str, after: &'a str) -> Result<&'a str, HeaderError> {
    let after = skip_spaces(after);
    let (value, end) = match after.strip_prefix('"') {
        // No value of this scheme needs a backslash, and other schemes' values are not used: an escaped character is
        // passed over and left as it is.
        Some(quoted) => split_quoted(quoted)?,
        None => split_while(after, |byte| is_tchar(byte) || byte == b'='),
    };
    if item.parameters.len() == PARAMETERS_MAX {
        return Err(HeaderError::TooLong);
    }
    if value_of(&item.parameters, name).is_some() {
        return Err(HeaderError::Grammar);
    }
    item.parameters.push(Parameter { name, value });
    Ok(end)
}

/// Splits at the quote that ends the string.
fn split_quoted(quoted: &str) -> Result<(&str, &str), HeaderError> {
    let mut bytes = quoted.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((&quoted[..at], &quoted[at + 1..])),
            b'\\' => drop(bytes.next()),
            b'\t' | b' '.. if byte != 0x7f => {}
            _ => return Err(HeaderError::Grammar),
        }
    }
    Err(HeaderError::Grammar)
}

/// What follows a token68, if one and nothing else stands between here and the next comma.
fn skip_token68(text: &str) -> Option<&str> {
    let (body, after) = split_while(text, |byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
    let after = after.trim_start_matches('=');
    let after = skip_spaces(after);
    (!body.is_empty() && (after.is_empty() || after.starts_with(','))).then_some(after)
}

fn skip_separators(text: &str) -> &str {
    text.trim_start_matches(|character| character == ',' || is_space(character))
}

fn skip_spaces(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

fn split_while(text: &str, accepted: impl Fn(u8) -> bool) -> (&str, &str) {
    // Only ASCII is accepted, so the place is a character's boundary.
    text.split_at(text.bytes().position(|byte| !accepted(byte)).unwrap_or(text.len()))
}

const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
