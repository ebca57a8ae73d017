use super::*;
use proptest::prelude::*;

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn parse(text: &str) -> Result<Catalogue, CatalogueError> {
    Catalogue::parse(tenant(), 7, text.as_bytes())
}

const GOOD: &str = r#"{"id":"1","title":"Ä film","kind":"vod","tags":["drama","war"],"year":1995}
{"id":"b","title":"","kind":"live","tags":[],"year":null}
"#;

#[test]
fn reads_items_in_order() {
    let catalogue = parse(GOOD).unwrap();
    assert_eq!((catalogue.len(), catalogue.version(), catalogue.tenant()), (2, 7, &tenant()));
    assert_eq!(catalogue.index_of("b"), Some(ItemIndex(1)));
    assert_eq!(catalogue.index_of("c"), None);
    assert_eq!(catalogue.item(ItemIndex(0)).tags, ["drama".into(), "war".into()]);
    assert_eq!((catalogue.item(ItemIndex(0)).year, catalogue.item(ItemIndex(1)).year), (Some(1995), None));
    assert!(catalogue.contains(ItemIndex(1)) && !catalogue.contains(ItemIndex(2)));
}

#[test]
fn digest_covers_items_not_spelling() {
    let spelled = GOOD.replace("Ä", "\\u00c4").replace("\"id\":", "\"id\" : ").replace('\n', "\r\n");
    assert_eq!(parse(GOOD).unwrap().digest(), parse(&spelled).unwrap().digest());
    let changes =
        [("1995", "1996"), ("1995", "null"), ("war", "law"), ("vod", "clip"), ("\"b\"", "\"c\""), ("film", "fil")];
    for (from, to) in changes {
        assert_ne!(parse(GOOD).unwrap().digest(), parse(&GOOD.replace(from, to)).unwrap().digest(), "{to}");
    }
}

#[test]
fn refuses_each_fault_at_its_line() {
    let second = r#"{"id":"b","title":"","kind":"live","tags":[],"year":null}"#;
    let tags = |n: usize| (0..n).map(|i| format!("\"t{i}\"")).collect::<Vec<_>>().join(",");
    let cases = [
        (String::new(), Fault::Form),
        ("[]".into(), Fault::Form),
        (second.replace("\"year\"", "\"more\""), Fault::Form),
        (second.replace("\"tags\":[],", ""), Fault::Form),
        (second.replace("null", "1.5"), Fault::Form),
        (second.replace("null", "0"), Fault::Year),
        (second.replace("null", "10000"), Fault::Year),
        (second.replace("null", "-5"), Fault::Year),
        (second.replace("\"b\"", "\"1\""), Fault::DuplicateId),
        (second.replace("\"b\"", "\"\""), Fault::Id),
        (second.replace("\"b\"", "\"a\\u0000\""), Fault::Id),
        (second.replace("\"b\"", &format!("\"{}\"", "x".repeat(129))), Fault::Id),
        (second.replace("\"\"", &format!("\"{}\"", "x".repeat(1025))), Fault::Title),
        (second.replace("live", ""), Fault::Kind),
        (second.replace("[]", "[\"\"]"), Fault::Tags),
        (second.replace("[]", "[\"a\",\"a\"]"), Fault::Tags),
        (second.replace("[]", &format!("[{}]", tags(33))), Fault::Tags),
        (" ".repeat(LINE_BYTES_MAX + 1), Fault::LineTooLong),
    ];
    let first = GOOD.lines().next().unwrap();
    for (line, fault) in cases {
        let refused = parse(&format!("{first}\n{line}\n{second}")).unwrap_err();
        assert_eq!(refused, CatalogueError { line: 2, fault }, "{line}");
    }
    assert_eq!(parse("").unwrap_err(), CatalogueError { line: 1, fault: Fault::Empty });
    assert_eq!(parse("\n").unwrap_err(), CatalogueError { line: 1, fault: Fault::Empty });
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Catalogue::parse(tenant(), 1, &bytes);
    }

    #[test]
    fn never_panics_on_a_changed_byte(place in 0..GOOD.len(), byte in any::<u8>()) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[place] = byte;
        let _ = Catalogue::parse(tenant(), 1, &bytes);
    }
}
