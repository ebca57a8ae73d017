use super::*;

fn assertion(alg: &str, exclusions: Option<u64>, hash: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut bytes);
    encoder.map(if exclusions.is_some() { 4 } else { 3 }).unwrap();
    if let Some(count) = exclusions {
        encoder.str("exclusions").unwrap().array(count).unwrap();
        for _ in 0..count {
            encoder.map(2).unwrap().str("start").unwrap().u8(0).unwrap().str("length").unwrap().u8(9).unwrap();
        }
    }
    encoder.str("alg").unwrap().str(alg).unwrap().str("hash").unwrap().bytes(hash).unwrap();
    encoder.str("pad").unwrap().bytes(&[0; 8]).unwrap();
    bytes
}

const LABEL: &str = "c2pa.hash.data";

fn found<'a>(manifest: &'a str, label: &'a str, content: &'a [u8]) -> ContentBox<'a> {
    ContentBox { path: vec!["c2pa", manifest, ASSERTIONS, label], kind: *b"cbor", content, hashed: content }
}

fn named(label: &str, content: &[u8]) -> Named {
    (label.to_owned(), Digest::of(content).as_bytes().to_vec())
}

#[test]
fn a_digest_answers_for_a_hash_that_leaves_nothing_out() {
    let digest = Digest::of(b"clip");
    let whole = assertion("sha256", None, digest.as_bytes());
    let none_left_out = assertion("sha256", Some(0), digest.as_bytes());
    let other = assertion("sha256", None, Digest::of(b"another").as_bytes());
    for (content, expected) in [(&whole, Some(true)), (&none_left_out, Some(true)), (&other, Some(false))] {
        assert_eq!(by_digest(&found("a", LABEL, content), &digest), expected);
    }
    let left_out = assertion("sha256", Some(1), digest.as_bytes());
    let otherwise = assertion("sha512", None, digest.as_bytes());
    for content in [left_out.as_slice(), &otherwise, &whole[..20], &[0xa0], &[]] {
        assert_eq!(by_digest(&found("a", LABEL, content), &digest), None);
    }
    assert_eq!(by_digest(&found("a", "c2pa.hash.boxes", &whole), &digest), None);
}

/// Each thing that is asked of a binding, broken alone.
#[test]
fn only_the_one_binding_that_the_active_manifest_signs_counts() {
    let content = assertion("sha256", None, &[7; 32]);
    let (this, signed) = (found("a", LABEL, &content), named(LABEL, &content));
    let actions = (found("a", "c2pa.actions", &content), named("c2pa.actions", &content));
    let boxes = [actions.0.clone(), this.clone(), found("b", LABEL, &[])];
    let names = [actions.1.clone(), signed.clone()];
    assert_eq!(the_binding(&boxes, "a", &names), Some(&this));
    let of = |found: ContentBox<'_>, named: &[Named]| the_binding(&[found], "a", named).is_some();
    assert!(of(this.clone(), std::slice::from_ref(&signed)));
    assert!(!of(found("b", LABEL, &content), std::slice::from_ref(&signed)), "of another manifest");
    assert!(!of(this.clone(), &[]), "not named");
    assert!(!of(this.clone(), &[actions.1]), "another is named");
    assert!(!of(this.clone(), &[named(LABEL, b"another")]), "another content is named");
    assert!(!of(this.clone(), &[named("c2pa.hash.boxes", &content)]), "another label is named");
    assert!(!of(this.clone(), &[signed.clone(), named("c2pa.hash.boxes", &content)]), "two are named");
    assert!(!of(ContentBox { kind: *b"json", ..this.clone() }, std::slice::from_ref(&signed)), "no CBOR");
    let deeper = ContentBox { path: vec!["c2pa", "a", ASSERTIONS, LABEL, LABEL], ..this.clone() };
    assert!(!of(deeper, std::slice::from_ref(&signed)), "deeper");
    let elsewhere = ContentBox { path: vec!["c2pa", "a", "c2pa.databoxes", LABEL], ..this.clone() };
    assert!(!of(elsewhere, std::slice::from_ref(&signed)), "elsewhere");
    for second in [this.clone(), found("a", "c2pa.hash.bmff", &content)] {
        assert_eq!(the_binding(&[this.clone(), second], "a", std::slice::from_ref(&signed)), None, "two are there");
    }
    assert_eq!(the_binding(&[], "a", &[signed]), None);
}

#[test]
fn what_a_data_hash_leaves_open_is_found() {
    let whole = assertion("sha256", None, &[0; 32]);
    let left_out = |length: u64| {
        let mut bytes = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut bytes);
        encoder.map(2).unwrap().str("alg").unwrap().str("sha256").unwrap().str("exclusions").unwrap();
        encoder.array(1).unwrap().map(2).unwrap().str("start").unwrap().u8(2).unwrap();
        encoder.str("length").unwrap().u64(length).unwrap();
        bytes
    };
    for (content, expected) in [
        (whole.clone(), false),
        (left_out(10_000), false),
        (left_out(10_266), false),
        (left_out(10_267), true),
        (left_out(u64::MAX), true),
        (left_out(10)[..30].to_vec(), true),
    ] {
        assert_eq!(leaves_open(Some(&found("a", LABEL, &content)), 10_000, Extent::Whole), expected, "{content:x?}");
    }
    // No binding, none that was signed, and one of a kind that is not known.
    assert!(leaves_open(None, 9, Extent::Whole));
    assert!(leaves_open(Some(&found("a", "c2pa.hash.collection.data", &whole)), 9, Extent::Whole));
}

/// A film's assertion: whether it has a hash, its Merkle trees with one member each, and one exclusion.
fn film(hash: bool, trees: Option<&[&str]>, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut bytes);
    encoder.map(1 + u64::from(hash) + u64::from(trees.is_some())).unwrap();
    if hash {
        encoder.str("hash").unwrap().bytes(&[1; 32]).unwrap();
    }
    if let Some(trees) = trees {
        encoder.str("merkle").unwrap().array(trees.len() as u64).unwrap();
        for member in trees {
            encoder.map(2).unwrap().str("count").unwrap().u8(1).unwrap().str(member).unwrap().u8(9).unwrap();
        }
    }
    encoder.str("exclusions").unwrap().array(1).unwrap();
    encoder.map(2).unwrap().str("length").unwrap().null().unwrap().str("xpath").unwrap().str(path).unwrap();
    bytes
}

#[test]
fn what_a_film_leaves_open_is_found() {
    use Extent::{Fragment, Nothing, Whole, WholeOfFragments};
    let fixed: &[&str] = &["fixedBlockSize"];
    for (hash, trees, path, extent, expected) in [
        (true, None, "/uuid", Whole, false),
        (true, None, "/moof/traf/trun", WholeOfFragments, false),
        (true, None, "/uuid", Nothing, false),
        (true, Some(fixed), "/mdat", Whole, false),
        (true, Some(&["variableBlockSizes"][..]), "/mdat", Whole, false),
        (false, Some(&["initHash", "initHash"]), "/uuid", Fragment, false),
        // The media is left out, and nothing binds it, or a tree that is not held against all of it.
        (true, None, "/mdat", Whole, true),
        (true, None, "/mdat", Nothing, true),
        (true, Some(&[]), "/mdat", Whole, true),
        (true, Some(&["uniqueId"]), "/mdat", Whole, true),
        (true, Some(&["fixedBlockSize", "uniqueId"]), "/mdat", Whole, true),
        (true, Some(fixed), "/mdat", WholeOfFragments, true),
        (true, Some(fixed), "/uuid", WholeOfFragments, true),
        (true, Some(fixed), "/mdat", Nothing, true),
        (false, Some(&["initHash"]), "/mdat", Fragment, true),
        (false, Some(&["initHash", "uniqueId"]), "/uuid", Fragment, true),
        (false, Some(&[]), "/uuid", Fragment, true),
        (true, None, "/uuid", Fragment, true),
        // Nothing binds what is no media.
        (false, None, "/uuid", Whole, true),
        (false, Some(fixed), "/mdat", Whole, true),
        (true, Some(fixed), "/moov/trak", Whole, true),
    ] {
        let content = film(hash, trees, path);
        let this = found("a", "c2pa.hash.bmff.v3", &content);
        assert_eq!(leaves_open(Some(&this), 9, extent), expected, "{hash} {trees:?} {path} {extent:?}");
        // What ends early leaves it open.
        for end in 0..content.len() {
            assert!(leaves_open(Some(&found("a", "c2pa.hash.bmff.v3", &content[..end])), 9, extent), "cut at {end}");
        }
    }
}

#[test]
fn what_a_hash_by_boxes_leaves_open_is_found() {
    let boxes = |excluded: &[u8]| {
        let mut bytes = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut bytes);
        encoder.map(1).unwrap().str("boxes").unwrap().array(2).unwrap();
        encoder.map(1).unwrap().str("hash").unwrap().bytes(&[1; 32]).unwrap();
        encoder.map(2).unwrap().str("hash").unwrap().bytes(&[1; 32]).unwrap().str("excluded").unwrap();
        [bytes.as_slice(), excluded].concat()
    };
    let open = |content: &[u8]| leaves_open(Some(&found("a", "c2pa.hash.boxes", content)), 9, Extent::Whole);
    // false, null, true, undefined, 0, nothing.
    for (excluded, expected) in
        [(&[0xf4][..], false), (&[0xf6], false), (&[0xf5], true), (&[0xf7], true), (&[0], true), (&[], true)]
    {
        assert_eq!(open(&boxes(excluded)), expected, "{excluded:x?}");
    }
    assert!(open(&[0xa0]), "no boxes");
}
