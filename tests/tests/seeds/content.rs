//! Seeds of content: clips and streams that these tests sign, private lists, pictures.

use std::io::Cursor;

use attest::content::list::{
    BlindedElement, Bucket, BucketTree, Geometry, Identifier, ListKey, ListManifest, PendingCheck, TAG_BYTES,
};
use attest::content::live::fixtures::{Authority, Key, Source};
use attest::content::provenance::MediaType;
use attest::content::provenance::fixtures::{CAPTURE, Signatory, actions, builder, definition, mp4};
use attest::jws;
use attest::pdq::PdqHash;
use image::{ExtendedColorType, ImageFormat, RgbImage};
use policies::ListMeaning;

use super::{All, NOW_S, Seeds, token_rng};

pub(super) fn seeds(seeds: &mut All) {
    let live = live(seeds);
    provenance(seeds, live);
    lists(seeds);
    pictures(seeds);
}

/// What a stream of one second brings.
struct Stream {
    init: Vec<u8>,
    segment: Vec<u8>,
    store: Vec<u8>,
}

/// From the four bytes of length before a box's kind to the box's end.
fn box_at(bytes: &[u8], kind: &[u8; 4]) -> Vec<u8> {
    let at = bytes.windows(4).position(|found| found == kind).expect("there is such a box") - 4;
    let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    bytes[at..][..usize::try_from(length).unwrap()].to_vec()
}

fn live(seeds: &mut All) -> Stream {
    let source = Source::new("fuzz", Authority::new("Fuzz").signer("Fuzz"), Key::ed25519(7), NOW_S * 1000);
    let (init, segment) = (source.init(), source.segment(1));
    let (chained, _) = source.manifest_segment(1, &source.manifest_id);
    let (store, chained_store) = (box_at(&init, b"jumb"), box_at(&chained, b"jumb"));
    // Behind the event's scheme, value and four numbers.
    let event = box_at(&segment, b"emsg");
    let value = b"fseg\0";
    let at = event.windows(value.len()).position(|found| found == value).unwrap() + value.len() + 16;
    let information = event[at..].to_vec();
    let boxes = vec![("init", init.clone()), ("segment", segment.clone()), ("segment-with-manifest", chained)];
    seeds.insert("live_boxes", boxes);
    seeds.insert("live_manifest", vec![("init", store.clone()), ("segment", chained_store)]);
    seeds.insert("live_segment_info", vec![("first", information)]);
    Stream { init, segment, store }
}

fn provenance(seeds: &mut All, live: Stream) {
    let (jpeg, store) = signed_clip(MediaType::Jpeg, &picture(ImageFormat::Jpeg));
    let (png, _) = signed_clip(MediaType::Png, &picture(ImageFormat::Png));
    let (webp, _) = signed_clip(MediaType::WebP, &picture(ImageFormat::WebP));
    let (mp4, _) = signed_clip(MediaType::Mp4, &mp4(0));
    seeds.insert("jumbf_store", vec![("clip", store.clone()), ("live", live.store.clone())]);
    let clips = vec![("jpeg", jpeg), ("png", png), ("webp", webp), ("mp4", mp4), ("init", live.init.clone())];
    seeds.insert("provenance_clip", clips);
    seeds.insert("provenance_manifest", vec![("clip", store), ("live", live.store)]);
    // The first byte says where the fragment begins, in parts of 256: at the boundary, or a little before it.
    let both = [live.init.as_slice(), &live.segment].concat();
    let at = u8::try_from(live.init.len() * 256 / both.len()).unwrap();
    seeds.insert("provenance_fragment", vec![("init-and-segment", [&[at], both.as_slice()].concat())]);
}

/// A clip with a manifest of whom the targets believe, and that manifest's store.
fn signed_clip(media_type: MediaType, clip: &[u8]) -> (Vec<u8>, Vec<u8>) {
    Signatory::fixed().save(media_type, clip, builder(&definition(&actions(CAPTURE))))
}

fn lists(seeds: &mut All) {
    let key = ListKey::generate(&mut token_rng(10));
    let identifiers: Vec<_> =
        (0..5).map(|number| Identifier::new(format!("clip-{number}").as_bytes()).unwrap()).collect();
    let geometry = Geometry::fitting(2, 5).unwrap();
    let buckets: Vec<Vec<u8>> = (0..geometry.buckets())
        .map(|number| {
            let members = identifiers.iter().filter(|identifier| geometry.bucket(identifier) == number);
            let mut tags: Vec<_> = members.map(|member| *key.tag(member).as_bytes()).collect();
            let padding = (0..geometry.slots()).map(|slot| *key.padding(number, slot).as_bytes());
            tags.extend(padding.take(geometry.slots() as usize - tags.len()));
            tags.sort_unstable();
            tags.concat()
        })
        .collect();
    let leaves = buckets.iter().zip(0..).map(|(tags, number)| BucketTree::leaf(number, tags)).collect();
    let tree = BucketTree::new(leaves).unwrap();
    let with_path = [buckets[1].as_slice(), &tree.path(1)].concat();
    assert!(Bucket::verify(&with_path, &geometry, 1, &tree.root()).is_ok(), "a seed is read");
    let bucket = [&[geometry.bits(), 1], with_path.as_slice()].concat();
    seeds.insert("list_bucket", vec![("second", bucket)]);
    let manifest = ListManifest {
        tenant: "demo-platform".parse().unwrap(),
        list: "blocked".parse().unwrap(),
        meaning: ListMeaning::Blocked,
        epoch: 1,
        // The target's clock stands at nought for tokens of others.
        iat: 0,
        exp: 86_400,
        bits: geometry.bits(),
        slots: geometry.slots(),
        tag_bytes: u8::try_from(TAG_BYTES).unwrap(),
        entries_max: 5,
        key: key.public(),
        root: tree.root(),
    };
    let token = manifest.sign(&jws::fuzz::fixed_key()).unwrap();
    let claims = serde_json::to_vec(&manifest).unwrap();
    seeds.insert("list_manifest", vec![("token", token.into_bytes()), ("claims", claims)]);
    let (elements, _) = PendingCheck::new(vec![Identifier::new(b"clip-0").unwrap()], &mut token_rng(11)).unwrap();
    let blinded = BlindedElement::parse(&elements[0]).unwrap();
    let evaluation = key.evaluate(&[blinded], &mut token_rng(12)).unwrap();
    let queries = vec![
        ("element", elements[0].to_vec()),
        ("evaluation", [evaluation.elements[0].as_slice(), &evaluation.proof].concat()),
        ("identifier", b"clip-1".to_vec()),
    ];
    seeds.insert("list_query", queries);
}

/// Shades that do not repeat, in 32 by 32 points.
fn picture(format: ImageFormat) -> Vec<u8> {
    let shade = |x: u32, y: u32| {
        let block = x / 4 + 8 * (y / 4);
        image::Rgb([37, 91, 53].map(|step| u8::try_from(block * block * step % 256).unwrap()))
    };
    let picture = RgbImage::from_fn(32, 32, shade);
    let mut bytes = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut bytes, &picture, 32, 32, ExtendedColorType::Rgb8, format).unwrap();
    bytes.into_inner()
}

fn pictures(seeds: &mut All) {
    // The first byte chooses the form.
    let forms = [("jpeg", ImageFormat::Jpeg), ("png", ImageFormat::Png), ("webp", ImageFormat::WebP)];
    let pictures = forms.into_iter().zip(0_u8..);
    let pictures: Seeds =
        pictures.map(|((name, format), form)| (name, [&[form], picture(format).as_slice()].concat())).collect();
    seeds.insert("pdq_picture", pictures);
    let hash = PdqHash::from_words([0xa5a5_5a5a_0f0f_f0f0; 4]).to_string();
    seeds.insert("pdq_hash_text", vec![("hash", hash.into_bytes())]);
}
