//! How content is checked, and who may ask.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{ACCESS, Mistake, findings, report, samples, with};
use crate::rules::{ContentRule, ListRule, PictureListRule, ProvenanceRule};
use crate::{ContentCheck, ListMeaning, PolicySet};

const FILE: &str = "content.toml";

#[test]
fn what_is_written_is_read() {
    let set = PolicySet::parse(&samples()).unwrap();
    let tenant = || "demo-platform".parse().unwrap();
    let rule = ContentRule {
        provenance: ProvenanceRule { anchors: Vec::new(), required_assertions: BTreeSet::new(), answer_seconds: 600 },
        lists: vec![ListRule { list: "demo-blocked".to_owned(), tenant: tenant(), meaning: ListMeaning::Blocked }],
        pictures: vec![PictureListRule {
            list: "demo-takedown".to_owned(),
            tenant: tenant(),
            meaning: ListMeaning::Takedown,
            distance_max: 31,
        }],
    };
    assert_eq!(set.content(), Some(&rule));
    let grant = set.grant(&"eu-west".parse().unwrap(), &tenant()).unwrap();
    assert_eq!(grant.content, ContentCheck::ALL.into());

    let assertions = "answer_seconds = 600\nrequired_assertions = [\"c2pa.actions.v2\", \"c2pa.hash.data\"]";
    let anchored: [Mistake; 2] =
        [(FILE, "answer_seconds = 600", assertions), (FILE, "anchors = []", "anchors = [\"anchors/aws-nitro.pem\"]")];
    let set = PolicySet::parse(&with(&anchored)).unwrap();
    let provenance = &set.content().unwrap().provenance;
    let labels = ["c2pa.actions.v2", "c2pa.hash.data"].map(str::to_owned);
    assert_eq!(provenance.required_assertions, BTreeSet::from(labels));
    assert_eq!(provenance.anchors, set.profiles()["node-nitro"].anchors);
}

#[test]
fn contradictions_are_found() {
    insta::assert_snapshot!(report(&[
        (FILE, "[provenance]", "[origin]"),
        (FILE, "answer_seconds = 600\n", ""),
        (FILE, "answer_seconds = 600", "answer_seconds = 10"),
        (FILE, "answer_seconds = 600", "answer_seconds = 600\nrequired_assertions = [\"c2pa actions\"]"),
        (FILE, "answer_seconds = 600", "answer_seconds = 600\nrequired_assertions = [\"a\", \"a\"]"),
        (FILE, "anchors = []", "anchors = [\"anchors/c2pa.pem\"]"),
        (FILE, "anchors = []", "anchors = [\"anchors/aws-nitro.pem\", \"anchors/aws-nitro.pem\"]"),
        (FILE, "\"demo-blocked\"", "\"Demo\""),
        (FILE, "\"demo-blocked\"", "\"demo-takedown\""),
        (FILE, "\"blocked\"", "\"forbidden\""),
        (FILE, "distance_max = 31", "distance_max = 64"),
        (FILE, "tenant = \"demo-platform\"", "tenant = \"demo-platfrom\""),
        (FILE, "tenant = \"demo-platform\"", "tenant = \"nordlys-clips\""),
        (ACCESS, "\"similar\", ", "\"alike\", "),
        (ACCESS, "\"similar\", ", ""),
        (ACCESS, "tokens_for = [\"age_over_18\"]", "tokens_for = [\"age_over_18\"]\ncontent = [\"live\", \"live\"]"),
    ]));
}

#[test]
fn without_the_file_nothing_is_checked() {
    let mut files = samples();
    files.remove(FILE);
    let found: Vec<String> = findings(&files).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "access.toml:11:12: error: The platform may ask about content (`provenance`, `list`, `similar`, `live`), but nothing says how that is checked: the file `content.toml` is missing."
        ]
    );
    let asked_by_none: Mistake = (ACCESS, "content = [\"provenance\", \"list\", \"similar\", \"live\"]\n", "");
    let mut files = with(&[asked_by_none]);
    files.remove(FILE);
    let set = PolicySet::parse(&files).unwrap();
    assert_eq!(set.content(), None);
}

proptest! {
    /// A grant is refused exactly if it asks for a list that its tenant has not.
    #[test]
    fn what_may_be_asked_can_be_answered(
        checks in prop::sample::subsequence(ContentCheck::ALL.to_vec(), 0..=4),
        has in any::<(bool, bool)>(),
    ) {
        let mut files = samples();
        let access = String::from_utf8(files[ACCESS].clone()).unwrap();
        let names: Vec<_> = checks.iter().map(|check| check.as_str()).collect();
        let access = access.replace(r#"["provenance", "list", "similar", "live"]"#, &serde_json::json!(names).to_string());
        files.insert(ACCESS.to_owned(), access.into_bytes());
        let content = String::from_utf8(files[FILE].clone()).unwrap();
        let (head, lists) = content.split_once("[[lists]]").unwrap();
        let (lists, pictures) = lists.split_once("[[pictures]]").unwrap();
        let mut written = head.to_owned();
        if has.0 {
            written += &format!("[[lists]]{lists}");
        }
        if has.1 {
            written += &format!("[[pictures]]{pictures}");
        }
        files.insert(FILE.to_owned(), written.into_bytes());
        let missing = |check, has: bool| checks.contains(&check) && !has;
        let fits = !missing(ContentCheck::List, has.0) && !missing(ContentCheck::Similar, has.1);
        let read = PolicySet::parse(&files);
        prop_assert_eq!(read.is_ok(), fits, "{:?}", read.err());
        if let Ok(set) = read {
            let grant = set.grant(&"eu-west".parse().unwrap(), &"demo-platform".parse().unwrap()).unwrap();
            prop_assert_eq!(&grant.content, &checks.iter().copied().collect());
            let rule = set.content().unwrap();
            prop_assert_eq!((rule.lists.len(), rule.pictures.len()), (usize::from(has.0), usize::from(has.1)));
        }
    }
}
