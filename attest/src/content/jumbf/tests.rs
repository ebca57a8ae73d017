use proptest::prelude::*;

use super::*;

fn plain(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + HEAD_BYTES).unwrap();
    [&length.to_be_bytes(), kind.as_slice(), content].concat()
}

fn described(label: &str, boxes: &[u8]) -> Vec<u8> {
    let description = [&[0; 16], [0x03].as_slice(), label.as_bytes(), &[0]].concat();
    plain(b"jumb", &[plain(b"jumd", &description), boxes.to_vec()].concat())
}

fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(plain(b"json", b"{}"), |inner, _| described("a", &inner))
}

fn cbor(item: &[u8]) -> Result<Vec<ContentBox<'static>>, JumbfError> {
    let store = described("c2pa", &plain(b"cbor", item)).leak();
    content_boxes(store)
}

#[test]
fn boxes_are_listed_with_their_labels() {
    let inner = described("claim", &plain(b"cbor", &[0xa1, 0x01, 0x82, 0x02, 0x03]));
    let store = described("c2pa", &[inner.clone(), plain(b"free", &[0, 0])].concat());
    let content: &[u8] = &[0xa1, 0x01, 0x82, 0x02, 0x03];
    let expected = [
        ContentBox { path: vec!["c2pa", "claim"], kind: *b"cbor", content, hashed: &inner[HEAD_BYTES..] },
        ContentBox { path: vec!["c2pa"], kind: *b"free", content: &[0, 0], hashed: &store[HEAD_BYTES..] },
    ];
    assert_eq!(content_boxes(&store), Ok(expected.to_vec()));
    // What follows the superbox is nobody's.
    assert_eq!(content_boxes(&[store.as_slice(), &[1, 2, 3]].concat()), Ok(expected.to_vec()));
}

/// Parts are listed though they hold nothing, and only those of the first level.
#[test]
fn parts_are_listed_with_their_types() {
    let typed = |kind: u8, label: &str, boxes: &[u8]| {
        let description = [&[kind; 16], [0x03].as_slice(), label.as_bytes(), &[0]].concat();
        plain(b"jumb", &[plain(b"jumd", &description), boxes.to_vec()].concat())
    };
    let store = described("c2pa", &[typed(1, "a", &typed(3, "within", &[])), typed(2, "a", &[])].concat());
    let read = read(&store).unwrap();
    assert_eq!(read.parts, [Part { kind: [1; 16], label: "a" }, Part { kind: [2; 16], label: "a" }]);
    assert_eq!(read.boxes, []);
}

#[test]
fn compressed_boxes_are_refused_at_every_depth() {
    let compressed = plain(b"brob", &[0; 9]);
    for store in [described("c2pa", &compressed), described("c2pa", &described("a", &described("b", &compressed)))] {
        assert_eq!(content_boxes(&store), Err(JumbfError::Compressed));
    }
}

#[test]
fn lengths_lead_nowhere_else() {
    let store = described("c2pa", &plain(b"cbor", &[0x01]));
    for end in 0..store.len() {
        assert_eq!(content_boxes(&store[..end]), Err(JumbfError::Length), "cut at {end}");
    }
    // Of the inner box: longer than the outer, shorter than its head, of 64 bits, to the end.
    let at = store.len() - 9;
    for length in [10_u32, u32::MAX, 7, 1, 0] {
        let mut changed = store.clone();
        changed[at..at + 4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(content_boxes(&changed), Err(JumbfError::Length), "{length}");
    }
}

#[test]
fn superboxes_are_described() {
    for (store, what) in [
        (plain(b"cbor", &[0x01]), "no superbox"),
        (plain(b"jumb", &plain(b"cbor", &[0x01])), "no description"),
        (plain(b"jumb", &plain(b"jumd", &[0; 16])), "no toggles"),
        (plain(b"jumb", &plain(b"jumd", &[0; 18])), "no label"),
        (plain(b"jumb", &plain(b"jumd", &[[0; 16].as_slice(), &[3, b'a']].concat())), "no end of the label"),
        (plain(b"jumb", &plain(b"jumd", &[[0; 16].as_slice(), &[3, 0xff, 0]].concat())), "no UTF-8"),
    ] {
        assert_eq!(content_boxes(&store), Err(JumbfError::Description), "{what}");
    }
}

#[test]
fn depth_count_and_length_are_bounded() {
    assert_eq!(content_boxes(&nested(DEPTH_MAX)).map(|boxes| boxes[0].path.len()), Ok(DEPTH_MAX));
    assert_eq!(content_boxes(&nested(DEPTH_MAX + 1)), Err(JumbfError::TooDeep));
    let many = |count: usize| described("c2pa", &plain(b"free", &[]).repeat(count));
    assert_eq!(content_boxes(&many(BOXES_MAX - 1)).map(|boxes| boxes.len()), Ok(BOXES_MAX - 1));
    assert_eq!(content_boxes(&many(BOXES_MAX)), Err(JumbfError::TooMany));
    assert_eq!(content_boxes(&vec![0; BYTES_MAX + 1]), Err(JumbfError::TooLong));
}

#[test]
fn cbor_is_held_to_its_shape() {
    let good: [&[u8]; 8] = [
        &[0x00],
        &[0x63, b'a', b'b', b'c'],
        &[0x9f, 0x01, 0xff],
        &[0x5f, 0x41, 0x01, 0xff],
        &[0xbf, 0x01, 0x02, 0xff],
        &[0xd2, 0x84, 0x40, 0xa0, 0xf6, 0x40],
        &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
        // Followed by what is not looked at.
        &[0x01, 0xff],
    ];
    for item in good {
        assert_eq!(cbor(item).map(|boxes| boxes.len()), Ok(1), "{item:x?}");
    }
    let bad: [&[u8]; 10] = [
        &[],
        &[0x63, b'a', b'b'],
        &[0x82, 0x01],
        &[0x9f, 0x01],
        &[0x1c],
        &[0x1f],
        &[0xff],
        // Four thousand million items, or bytes, in a few.
        &[0x9a, 0xff, 0xff, 0xff, 0xff, 0x00],
        &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00],
    ];
    for item in bad {
        assert_eq!(cbor(item), Err(JumbfError::Cbor), "{item:x?}");
    }
    let arrays = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
    assert_eq!(cbor(&arrays(CBOR_DEPTH_MAX - 1)).map(|boxes| boxes.len()), Ok(1));
    assert_eq!(cbor(&arrays(CBOR_DEPTH_MAX)), Err(JumbfError::TooDeep));
    let flat = |count: usize| [&[0x9f], vec![0x00; count].as_slice(), &[0xff]].concat();
    assert_eq!(cbor(&flat(CBOR_ITEMS_MAX - 1)).map(|boxes| boxes.len()), Ok(1));
    assert_eq!(cbor(&flat(CBOR_ITEMS_MAX)), Err(JumbfError::TooMany));
}

proptest! {
    #[test]
    fn any_bytes_are_listed_or_refused(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz::store(&data);
    }

    /// One changed byte of a store that is read.
    #[test]
    fn changed_stores_are_listed_or_refused(at in 0_usize..70, value: u8) {
        let inner = described("claim", &plain(b"cbor", &[0xa1, 0x01, 0x82, 0x02, 0x03]));
        let mut store = described("c2pa", &inner);
        let at = at % store.len();
        store[at] = value;
        fuzz::store(&store);
    }
}
