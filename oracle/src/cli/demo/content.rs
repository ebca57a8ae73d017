//! Two clips are looked up in the platform's private list.

use anyhow::Context as _;
use attest::content::list::Identifier;
use attest::privacy_pass::Token;
use serde::Serialize;

use crate::identity_client::{IdentityClient, ListTrust, Way};

/// A list of the sample policies, with made-up clips in it.
const LIST: &str = "demo-blocked";
/// The first stands in it, the second does not.
const CLIPS: [&str; 2] = ["clip-0", "clip-1"];
const LEARNED: &str = "All of it went in capsules. The node learned that a token was spent, and which of the list's buckets \
                       was read: not the clip, not the answer, not whose token. The demo has no relay, so that the \
                       node saw the device's address too: with `--relay` it does not. The platform learned nothing.";

/// What the device found, and what that told others.
#[derive(Serialize)]
pub(super) struct ContentShown {
    list: String,
    epoch: u64,
    looked_up: Vec<LookedUp>,
    learned: &'static str,
}

#[derive(Serialize)]
struct LookedUp {
    clip: &'static str,
    listed: bool,
}

/// Looks both clips up, with a token for each: manifest, buckets and evaluations by `way`.
pub(super) async fn show(device: &IdentityClient, way: &Way<'_>, tokens: &[Token]) -> anyhow::Result<ContentShown> {
    anyhow::ensure!(tokens.len() >= CLIPS.len(), "too few tokens");
    let list = device.list(&LIST.parse()?, &ListTrust::default(), (way, way)).await.context("the list")?;
    let mut looked_up = Vec::new();
    for (clip, token) in CLIPS.into_iter().zip(tokens) {
        let identifier = Identifier::new(clip.as_bytes())?;
        let question = device.list_question(&list, identifier, way).await.context("the bucket")?;
        let listed = device.is_listed(&list, question, token, way).await.context("no answer")?;
        looked_up.push(LookedUp { clip, listed });
    }
    Ok(ContentShown { list: LIST.to_owned(), epoch: list.manifest.epoch, looked_up, learned: LEARNED })
}

impl ContentShown {
    /// The answers, for people.
    pub(super) fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["clip", &format!("stands in {}, epoch {}", self.list, self.epoch)]);
        for LookedUp { clip, listed } in &self.looked_up {
            table.add_row([*clip, if *listed { "yes" } else { "no" }]);
        }
        format!("{table}\n{}\n", self.learned)
    }
}
