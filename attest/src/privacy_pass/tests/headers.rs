use proptest::prelude::*;

use super::*;
use crate::privacy_pass::header::*;

fn offers() -> Vec<OfferedChallenge> {
    let offer = |issuer: &IssuerKey| OfferedChallenge {
        challenge: challenge_for(issuer.public().token_type()),
        key: issuer.public().clone(),
        max_age_seconds: None,
    };
    ISSUERS.iter().map(offer).collect()
}

#[test]
fn challenges_are_written_quoted_and_padded() {
    let value = format_www_authenticate(&offers());
    assert!(value.starts_with("PrivateToken challenge=\"AAEADmlzc3Vlci5leGFtcGxl"));
    assert_eq!(value.matches(", PrivateToken challenge=\"").count(), 1);
    assert_eq!(value.matches("=\", token-key=\"").count(), 2, "both challenges end in padding here");
    assert_eq!(parse_www_authenticate(&value), Ok(offers()));
    let aged = OfferedChallenge { max_age_seconds: Some(300), ..offers().remove(0) };
    let value = format_www_authenticate(std::slice::from_ref(&aged));
    assert!(value.ends_with("\", max-age=300"));
    assert_eq!(parse_www_authenticate(&value), Ok(vec![aged]));
}

/// Other schemes, other types, another order, spaces, case, no quotes, no padding.
#[test]
fn a_field_is_read_as_rfc_9110_allows() {
    let value = format_www_authenticate(&offers());
    let unquoted = value.replace('"', "");
    let spaced = value.replace(", ", "\t ,, ").replace("challenge=", "Challenge = ");
    let among = format!("Basic realm=\"a, PrivateToken \\\" b\", Negotiate YII/+=, Digest, {value}, Bearer x=1 , y=2,");
    let unknown = format!("PrivateToken challenge=\"AAUAAWEAAAA\", token-key=\"?\", {value}");
    let padless = value.replace("=\"", "\u{1}").replace('=', "").replace('\u{1}', "=\"");
    for text in [&value, &unquoted, &spaced, &among, &unknown, &padless, &value.replace("PrivateToken", "privatetoken")]
    {
        assert_eq!(parse_www_authenticate(text), Ok(offers()), "{text}");
    }
    for none in ["", " , ", "Basic", "Negotiate abc==", "Basic realm=x"] {
        assert_eq!(parse_www_authenticate(none), Ok(vec![]), "{none}");
    }
}

#[test]
fn bad_fields_are_refused() {
    let value = format_www_authenticate(&offers()[..1]);
    let key = format!(", token-key=\"{}", value.split("token-key=\"").nth(1).unwrap());
    let of = |text: &str| error_of(parse_www_authenticate(text));
    for text in [
        "challenge=\"a\"",
        "=a",
        "a b c",
        "\"a\"",
        "PrivateToken challenge=\"abc",
        "PrivateToken challenge=\"abc\\",
        "PrivateToken challenge=\"a\"b",
        "PrivateToken challenge=a challenge=b",
        "PrivateToken challenge=\"a\u{7f}\"",
        "PrivateToken challenge=ä",
        "PrivateToken,challenge",
        "PrivateToken@",
    ] {
        let expected = if text == "PrivateToken,challenge" { HeaderError::Missing } else { HeaderError::Grammar };
        assert_eq!(of(text), Some(expected), "{text}");
    }
    assert_eq!(of(&format!("{value}, challenge=a")), Some(HeaderError::Grammar));
    assert_eq!(of(&value.replace("token-key", "token-kez")), Some(HeaderError::Missing));
    assert_eq!(of(&value.replace("challenge=\"", "challenge=\"+")), Some(HeaderError::Encoding));
    assert_eq!(of(&format!("{value}, max-age=-1")), Some(HeaderError::Encoding));
    assert_eq!(of(&format!("{value}, max-age=4294967296")), Some(HeaderError::Encoding));
    let cut = format!("PrivateToken challenge=\"AAEAAQ==\"{key}");
    assert_eq!(of(&cut), Some(HeaderError::Challenge(InvalidChallenge::Length)));
    let other = format!("PrivateToken challenge=\"AAIAAWEAAAA=\"{key}");
    assert_eq!(of(&other), Some(HeaderError::Key(InvalidPublicKey::Length)));
    assert_eq!(of(&" ".repeat(WWW_AUTHENTICATE_BYTES_MAX + 1)), Some(HeaderError::TooLong));
    assert_eq!(of(&[value.as_str(); CHALLENGES_MAX + 1].join(", ")), Some(HeaderError::TooLong));
    let parameters: Vec<_> = (0..17).map(|at| format!("p{at}=1")).collect();
    assert_eq!(of(&format!("Basic {}", parameters.join(","))), Some(HeaderError::TooLong));
}

#[test]
fn tokens_are_presented_quoted_or_not() {
    for issuer in &*ISSUERS {
        let token = issued(issuer, 1);
        let value = format_authorization(&token);
        let bytes = Ok(token.to_bytes());
        let plain = value.replace('"', "");
        let padless = plain.trim_end_matches('=').to_owned();
        let more = format!("{}, extensions=\"x\"", *value);
        for text in [&*value, &plain, &padless, &more, &value.replace("PrivateToken", "PRIVATETOKEN ")] {
            assert_eq!(parse_authorization(text).map(|token| token.to_bytes()), bytes, "{text}");
        }
        let of = |text: &str| error_of(parse_authorization(text));
        assert_eq!(of(&value.replace("PrivateToken", "Bearer")), Some(HeaderError::Scheme));
        assert_eq!(of(&format!("{}, PrivateToken token=x", *value)), Some(HeaderError::Grammar));
        assert_eq!(of(&value.replace(" token", " tokem")), Some(HeaderError::Missing));
        assert_eq!(of("PrivateToken AAEC"), Some(HeaderError::Missing));
        assert_eq!(of(""), Some(HeaderError::Grammar));
        assert_eq!(of("PrivateToken token=\"/w==\""), Some(HeaderError::Encoding));
        assert_eq!(of("PrivateToken token=\"AAE\""), Some(HeaderError::Token(WireError::Length)));
        assert_eq!(of("PrivateToken token=\"AAF\""), Some(HeaderError::Encoding), "unused bits are not zero");
        assert_eq!(of(&" ".repeat(AUTHORIZATION_BYTES_MAX + 1)), Some(HeaderError::TooLong));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\t]{0,80}") {
        let prefixed = format!("PrivateToken {text}");
        prop_assert!(parse_www_authenticate(&text).is_ok_and(|offers| offers.is_empty()) || parse_www_authenticate(&text).is_err());
        prop_assert_eq!(parse_authorization(&prefixed).map(|token| token.to_bytes()).ok(), None);
    }
}
