//! The form of `content.toml`.

use schemars::JsonSchema;

use crate::ListMeaning;

/// How content is checked: `content.toml`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ContentFile {
    /// Whom to believe about a clip's origin.
    pub provenance: ProvenanceSection,
    /// Private lists that clips are held against; a client learns only whether a clip stands in one.
    #[schemars(length(max = 256))]
    pub lists: Option<Vec<ListSection>>,
    /// Clear lists of pictures that frames are held against.
    #[schemars(length(max = 256))]
    pub pictures: Option<Vec<PictureListSection>>,
}

/// Whom to believe about a clip's origin.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ProvenanceSection {
    /// Files of this folder (`anchors/NAME.pem`) whose certificates the signers of clips must lead to; none: no clip is ever trusted, only valid.
    #[schemars(length(max = 16))]
    pub anchors: Vec<String>,
    /// Labels of the C2PA assertions that a clip's manifest must hold; without it, none.
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    pub required_assertions: Option<Vec<String>>,
    /// How long a signed answer about a clip is good for.
    #[schemars(range(min = 30, max = 86_400))]
    pub answer_seconds: u32,
}

/// One private list.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ListSection {
    /// The list's name, once a tenant.
    pub list: String,
    /// The streaming platform whose list it is.
    pub tenant: String,
    /// What the list says of a clip in it: `blocked`, `licensed` or `takedown`.
    pub meaning: ListMeaning,
}

/// One clear list of pictures.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PictureListSection {
    /// The list's name, once a tenant.
    pub list: String,
    /// The streaming platform whose list it is.
    pub tenant: String,
    /// What the list says of a picture in it: `blocked`, `licensed` or `takedown`.
    pub meaning: ListMeaning,
    /// How many of a picture's 256 bits (PDQ) may differ; 31 finds copies.
    #[schemars(range(min = 0, max = 31))]
    pub distance_max: u16,
}
