//! Why something was refused: one variant a check. No variant holds anything of the input, so all are safe to log.

/// Why a compact JWS (RFC 7515) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// Not exactly three parts.
    #[error("a compact JWS has three parts")]
    Parts,
    /// A part is not canonical base64url without padding, or the signature is not 64 bytes.
    #[error("a part of the token is not base64url")]
    Encoding,
    /// The header is not a JSON object with the required members, each once.
    #[error("the token's header cannot be read")]
    Header,
    /// No trusted key has the header's `kid`, or it names none and there is not exactly one.
    #[error("no trusted key is named")]
    Key,
    /// The header demands an extension.
    #[error("the token's header demands an extension that is not understood")]
    Critical,
    /// `alg` is not the key's own algorithm.
    #[error("the token's algorithm is not that of the key")]
    Algorithm,
    /// `typ` is another, or missing.
    #[error("the token is of another type")]
    Type,
    /// The signature does not verify.
    #[error("the token's signature does not verify")]
    Signature,
    /// The payload is not a JSON object whose members stand once each and nest within the limit.
    #[error("the token's payload cannot be read")]
    Payload,
}

/// Why a public key or a set of them was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Longer than [`super::JWK_SET_BYTES_MAX`].
    #[error("the key set is too long")]
    TooLong,
    /// Not a JSON object of the required shape.
    #[error("the key cannot be read")]
    Form,
    /// Neither EC on P-256 nor OKP on Ed25519.
    #[error("keys of this type are not used")]
    KeyType,
    /// `use` or `alg` says that the key is for something else.
    #[error("the key is not for signatures of its type")]
    Purpose,
    /// A coordinate is not 32 bytes in canonical base64url.
    #[error("a coordinate of the key is not 32 bytes")]
    Coordinate,
    /// It holds a private key.
    #[error("the key is a private one")]
    Private,
    /// More than [`super::JWK_SET_KEYS_MAX`] keys.
    #[error("the set holds too many keys")]
    TooManyKeys,
    /// Two keys have one `kid`.
    #[error("two keys of the set have one id")]
    DuplicateKid,
}

/// Why a credential or its presentation was refused, or was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdJwtError {
    /// Longer than [`super::PRESENTATION_BYTES_MAX`].
    #[error("the presentation is too long")]
    TooLong,
    /// Not parts that `~` ends or separates.
    #[error("the text is not an SD-JWT")]
    Form,
    /// More than [`super::DISCLOSURES_MAX`].
    #[error("there are too many disclosures")]
    TooManyDisclosures,
    /// The issuer's JWT.
    #[error("the issuer's token was refused")]
    Credential(#[source] JoseError),
    /// Nothing shows that the holder is here.
    #[error("the presentation has no key binding")]
    KeyBindingMissing,
    /// Made by another issuer than the one whose keys were asked.
    #[error("the credential is from another issuer")]
    Issuer,
    /// Not a credential of an expected type.
    #[error("credentials of this type are not expected")]
    CredentialType,
    /// A registered claim is missing or of another JSON type.
    #[error("a registered claim cannot be read")]
    Claims,
    /// Valid, or issued, in the future.
    #[error("the credential is not yet valid")]
    NotYetValid,
    /// Its time has passed.
    #[error("the credential has expired")]
    Expired,
    /// Digests by another function than SHA-256.
    #[error("the credential's digests are not SHA-256")]
    HashAlgorithm,
    /// A disclosure is not base64url of a JSON array of salt, name and value, or of salt and value.
    #[error("a disclosure cannot be read")]
    Disclosure,
    /// One disclosure stands twice.
    #[error("a disclosure stands twice")]
    DuplicateDisclosure,
    /// `_sd` or `...` does not hold digests as it has to.
    #[error("the credential's digests cannot be read")]
    Digests,
    /// One digest stands twice.
    #[error("a digest stands twice")]
    DuplicateDigest,
    /// A disclosure with a name stands for an array's element, or one without a name for a claim.
    #[error("a disclosure does not fit its place")]
    DisclosurePlace,
    /// A claim's name is `_sd`, `...` or one that may not be disclosed or issued.
    #[error("a claim has a reserved name")]
    ReservedName,
    /// Two claims of one object have one name.
    #[error("a claim stands twice")]
    ClaimExists,
    /// A disclosure that no digest of the credential covers.
    #[error("a disclosure does not belong to the credential")]
    UnreferencedDisclosure,
    /// Claims nest deeper than [`super::DEPTH_MAX`].
    #[error("the claims nest too deep")]
    TooDeep,
    /// `cnf` holds no key that can be verified with.
    #[error("the holder's key cannot be used")]
    HolderKey,
    /// `status` is there, and is not a reference to a status list.
    #[error("the credential's status cannot be looked up")]
    StatusReference,
    /// The key binding JWT.
    #[error("the key binding was refused")]
    KeyBinding(#[source] JoseError),
    /// A claim of the key binding is missing or of another JSON type.
    #[error("the key binding's claims cannot be read")]
    KeyBindingClaims,
    /// Made for another verifier.
    #[error("the presentation is for someone else")]
    Audience,
    /// Made for another request.
    #[error("the presentation answers another request")]
    Nonce,
    /// The key binding is from the future.
    #[error("the key binding is not yet valid")]
    KeyBindingNotYetValid,
    /// The key binding is older than [`super::KEY_BINDING_AGE_SECONDS_MAX`], or expired.
    #[error("the key binding is too old")]
    KeyBindingStale,
    /// `sd_hash` is of another text: the key binding was made for other disclosures or another credential.
    #[error("the key binding belongs to another presentation")]
    PresentedText,
    /// To be issued: it would not live at all.
    #[error("a credential expires after it is issued")]
    Lifetime,
    /// To be presented: the credential is bound to another key.
    #[error("the credential belongs to another holder")]
    OtherHolder,
    /// To be presented: the credential has no such claim to disclose.
    #[error("the credential has no such claim to disclose")]
    NoSuchClaim,
    /// To be presented: the name stands for several claims.
    #[error("the name stands for several claims")]
    AmbiguousClaim,
}

/// Why a status could not be learnt. Whoever asks treats each as "not valid".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// Longer than [`super::STATUS_TOKEN_BYTES_MAX`].
    #[error("the status list token is too long")]
    TooLong,
    /// The token itself.
    #[error("the status list token was refused")]
    Token(#[source] JoseError),
    /// A claim is missing or of another JSON type.
    #[error("the status list's claims cannot be read")]
    Claims,
    /// Made by another issuer.
    #[error("the status list is from another issuer")]
    Issuer,
    /// The list of another address.
    #[error("the status list is another one")]
    Subject,
    /// Made in the future.
    #[error("the status list is not yet valid")]
    NotYetValid,
    /// Its time has passed.
    #[error("the status list has expired")]
    Expired,
    /// Not 1, 2, 4 or 8 bits an entry.
    #[error("a status has 1, 2, 4 or 8 bits")]
    Bits,
    /// Not one whole ZLIB stream in base64url, or to be made: a status that the bits cannot hold.
    #[error("the status list cannot be read")]
    List,
    /// Longer than [`super::STATUS_LIST_BYTES_MAX`] when decompressed.
    #[error("the status list is too large")]
    TooLarge,
    /// The list has no such entry.
    #[error("the status list has no such entry")]
    Index,
}
