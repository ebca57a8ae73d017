//! Known answers of RFC 9497, every check refused for its own reason, and the whole of a small list.

use std::collections::BTreeSet;

use hex_literal::hex;
use policies::{Digest, ListMeaning, TenantId};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng as _};

use super::*;
use crate::JwsError;
use crate::jws::fuzz::fixed_key;
use crate::keys::SigningKey;

const NOW_MS: u64 = 1_800_000_000_000;
const PREFIX_CLIP: u16 = 0x3c8f;
const PREFIX_ZEROS: u16 = 0xec1a;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn identifier(bytes: &[u8]) -> Identifier {
    Identifier::new(bytes).unwrap()
}

fn tags(result: Result<Vec<Tag>, CheckError>) -> Result<Vec<[u8; TAG_BYTES]>, CheckError> {
    result.map(|tags| tags.iter().map(|tag| *tag.as_bytes()).collect())
}

/// Scalars in order, each as the 64 bytes of which the library makes it.
struct Scalars(Vec<[u8; 32]>, usize);

impl RngCore for Scalars {
    fn next_u32(&mut self) -> u32 {
        unreachable!("scalars are drawn as bytes")
    }
    fn next_u64(&mut self) -> u64 {
        unreachable!("scalars are drawn as bytes")
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        assert_eq!(bytes.len(), 64);
        bytes.fill(0);
        bytes[..32].copy_from_slice(&self.0[self.1]);
        self.1 += 1;
    }
}

impl CryptoRng for Scalars {}

// RFC 9497 appendix A.1.2.
const SECRET: [u8; 32] = hex!("e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909");
const PUBLIC: [u8; 32] = hex!("c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e");
const INPUTS: [&[u8]; 2] = [&[0], &[0x5a; 17]];
const BLIND_1: [u8; 32] = hex!("64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706");
const BLIND_2: [u8; 32] = hex!("222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e");
const BATCH_RANDOM: [u8; 32] = hex!("419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c");
const OUTPUTS: [[u8; 8]; 2] = [hex!("b58cfbe118e0cb94"), hex!("8a9a2f3c7f085b65")];

struct Vector {
    inputs: &'static [&'static [u8]],
    blinds: &'static [[u8; 32]],
    blinded: &'static [[u8; 32]],
    evaluated: &'static [[u8; 32]],
    random: [u8; 32],
    proof: [u8; 64],
    outputs: &'static [[u8; 8]],
}

const VECTORS: [Vector; 3] = [
    Vector {
        inputs: &[INPUTS[0]],
        blinds: &[BLIND_1],
        blinded: &[hex!("863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945")],
        evaluated: &[hex!("aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e")],
        random: BLIND_2,
        proof: hex!(
            "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd06"
            "6d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d"
        ),
        outputs: &[OUTPUTS[0]],
    },
    Vector {
        inputs: &[INPUTS[1]],
        blinds: &[BLIND_1],
        blinded: &[hex!("cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c")],
        evaluated: &[hex!("60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468")],
        random: BLIND_2,
        proof: hex!(
            "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a"
            "67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02"
        ),
        outputs: &[OUTPUTS[1]],
    },
    Vector {
        inputs: &INPUTS,
        blinds: &[BLIND_1, BLIND_2],
        blinded: &[
            hex!("863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"),
            hex!("90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654"),
        ],
        evaluated: &[
            hex!("aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e"),
            hex!("cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a"),
        ],
        random: BATCH_RANDOM,
        proof: hex!(
            "cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a"
            "5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08"
        ),
        outputs: &OUTPUTS,
    },
];

fn parsed(elements: &[[u8; 32]]) -> Vec<BlindedElement> {
    elements.iter().map(|element| BlindedElement::parse(element).unwrap()).collect()
}

#[test]
fn known_answers_of_rfc_9497() {
    let key = ListKey::from_secret_bytes(&SECRET).unwrap();
    assert_eq!((key.public().as_bytes(), *key.to_secret_bytes()), (&PUBLIC, SECRET));
    for vector in VECTORS {
        let inputs: Vec<_> = vector.inputs.iter().map(|input| identifier(input)).collect();
        for (input, output) in inputs.iter().zip(vector.outputs) {
            assert_eq!(key.tag(input).as_bytes(), output);
        }
        let (blinded, pending) = PendingCheck::new(inputs, &mut Scalars(vector.blinds.to_vec(), 0)).unwrap();
        assert_eq!(blinded, vector.blinded);
        let evaluation = key.evaluate(&parsed(&blinded), &mut Scalars(vec![vector.random], 0)).unwrap();
        assert_eq!(evaluation, Evaluation { elements: vector.evaluated.to_vec(), proof: vector.proof });
        assert_eq!(tags(pending.finalize(&evaluation, &key.public())), Ok(vector.outputs.to_vec()));
    }
}

#[test]
fn elements_have_one_encoding_and_are_not_the_identity() {
    let good = VECTORS[0].blinded[0];
    let negative = {
        // RFC 9496 appendix A.2: encodings that must be refused. The low bit says that it is negative.
        hex!("0100000000000000000000000000000000000000000000000000000000000000")
    };
    let refused: [&[u8]; 7] = [
        &[0; 32], // the identity
        &[0xff; 32],
        // Beyond the field: p, which is zero again.
        &hex!("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        &hex!("f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        &negative,
        &good[..31],
        &[],
    ];
    for bytes in refused {
        assert_eq!(BlindedElement::parse(bytes).err(), Some(InvalidElement), "{bytes:02x?}");
        assert_eq!(ListPublicKey::parse(bytes).err(), Some(InvalidElement), "{bytes:02x?}");
    }
    assert_eq!(BlindedElement::parse(&[&good[..], &[0]].concat()).err(), Some(InvalidElement));
    assert_eq!(BlindedElement::parse(&good).err(), None);
}

#[test]
fn secrets_are_scalars_in_their_one_encoding() {
    // The group's order, which is zero again.
    let order = hex!("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    for bytes in [&[0; 32][..], &order, &[0xff; 32], &SECRET[..31], &[&SECRET[..], &[0]].concat()] {
        assert_eq!(ListKey::from_secret_bytes(bytes).err(), Some(InvalidListKey));
    }
}

/// Two identifiers, sent.
fn asked(key: &ListKey) -> (PendingCheck, Evaluation) {
    let (blinded, pending) = PendingCheck::new(vec![identifier(b"one"), identifier(b"two")], &mut rng(1)).unwrap();
    let evaluation = key.evaluate(&parsed(&blinded), &mut rng(2)).unwrap();
    (pending, evaluation)
}

#[test]
fn answers_are_refused_for_each_reason() {
    let (key, other) = (ListKey::generate(&mut rng(3)), ListKey::generate(&mut rng(4)));
    let refused = |change: &dyn Fn(&mut Evaluation), by: &ListKey| {
        let (pending, mut evaluation) = asked(&key);
        change(&mut evaluation);
        tags(pending.finalize(&evaluation, &by.public()))
    };
    let expected = [key.tag(&identifier(b"one")), key.tag(&identifier(b"two"))].map(|tag| *tag.as_bytes());
    assert_eq!(refused(&|_| {}, &key), Ok(expected.to_vec()));
    assert_eq!(refused(&|_| {}, &other), Err(CheckError::Proof), "another key than the manifest's");
    assert_eq!(refused(&|e| e.elements.truncate(1), &key), Err(CheckError::Answers));
    assert_eq!(refused(&|e| e.elements.push(e.elements[0]), &key), Err(CheckError::Answers));
    assert_eq!(refused(&|e| e.elements.swap(0, 1), &key), Err(CheckError::Proof));
    assert_eq!(refused(&|e| e.elements[0] = VECTORS[0].evaluated[0], &key), Err(CheckError::Proof));
    assert_eq!(refused(&|e| e.elements[1] = [0; 32], &key), Err(CheckError::Element), "the identity");
    assert_eq!(refused(&|e| e.elements[1] = [0xff; 32], &key), Err(CheckError::Element));
    assert_eq!(refused(&|e| e.proof = [0xff; 64], &key), Err(CheckError::Element), "no scalars");
    assert_eq!(refused(&|e| e.proof[0] ^= 1, &key), Err(CheckError::Proof));
    assert_eq!(refused(&|e| e.proof = VECTORS[0].proof, &key), Err(CheckError::Proof));
}

/// A node that answers under another key proves it with that key: the proof holds, and not under the manifest's.
#[test]
fn a_proof_of_another_key_is_no_proof() {
    let (committed, used) = (ListKey::generate(&mut rng(5)), ListKey::generate(&mut rng(6)));
    let (pending, evaluation) = asked(&used);
    assert_eq!(tags(pending.finalize(&evaluation, &committed.public())), Err(CheckError::Proof));
}

#[test]
fn calls_have_one_to_sixteen_identifiers() {
    let key = ListKey::generate(&mut rng(7));
    let many = |count| (0..count).map(|number: u8| identifier(&[number])).collect::<Vec<_>>();
    for count in [0, 17] {
        assert_eq!(PendingCheck::new(many(count), &mut rng(8)).err(), Some(CheckError::Count), "{count}");
    }
    let (blinded, pending) = PendingCheck::new(many(16), &mut rng(8)).unwrap();
    let expected = many(16).iter().map(|identifier| *key.tag(identifier).as_bytes()).collect();
    let evaluation = key.evaluate(&parsed(&blinded), &mut rng(9)).unwrap();
    assert_eq!(tags(pending.finalize(&evaluation, &key.public())), Ok(expected));
    let more = [blinded.as_slice(), &blinded[..1]].concat();
    assert_eq!(key.evaluate(&parsed(&more), &mut rng(9)), None);
    assert_eq!(key.evaluate(&[], &mut rng(9)), None);
}

#[test]
fn identifiers_and_names_have_bounds() {
    assert_eq!(Identifier::new(&[]).err(), Some(InvalidIdentifier));
    assert_eq!(Identifier::new(&[1; IDENTIFIER_BYTES_MAX + 1]).err(), Some(InvalidIdentifier));
    assert_eq!(identifier(&[1; IDENTIFIER_BYTES_MAX]).as_bytes().len(), IDENTIFIER_BYTES_MAX);
    for bad in ["", "-a", "a-", "A", "a/b", "..", &"a".repeat(64)] {
        assert_eq!(bad.parse::<ListName>(), Err(InvalidListName), "{bad}");
    }
    assert_eq!("takedown-2".parse::<ListName>().map(String::from), Ok("takedown-2".to_owned()));
}

/// Computed apart from this code, by Python's hashlib: SHA-256(b"bucket-v1" + b"clip-1") and of 32 zero bytes.
#[test]
fn buckets_are_chosen_by_the_first_bits_of_the_hash() {
    let clip = identifier(b"clip-1");
    assert_eq!(clip.prefix(), PREFIX_CLIP);
    assert_eq!(Identifier::from(&Digest::from_bytes([0; 32])).prefix(), PREFIX_ZEROS);
    for bits in 0..=16 {
        let geometry = Geometry::new(bits, 1).unwrap();
        assert_eq!(geometry.bucket(&clip), u32::from(PREFIX_CLIP) >> (16 - bits));
        assert!(geometry.bucket(&clip) < geometry.buckets());
    }
}

#[test]
fn short_lists_have_few_buckets() {
    let bits = [0, 1, 63, 64, 127, 128, 1_000, 1_000_000, 4_194_303, 4_194_304, 10_000_000, u64::MAX];
    assert_eq!(bits.map(Geometry::bits_for), [0, 0, 0, 0, 0, 1, 3, 13, 15, 16, 16, 16]);
    let slots = |fullest| Geometry::fitting(3, fullest).map(|geometry| geometry.slots());
    assert_eq!([slots(0), slots(16), slots(17)], [Ok(16), Ok(16), Ok(32)]);
    assert_eq!(
        [slots(SLOTS_MAX), slots(SLOTS_MAX + 1), slots(u32::MAX)],
        [Ok(SLOTS_MAX), Err(InvalidGeometry), Err(InvalidGeometry)]
    );
    for (bits, slots) in [(17, 16), (3, 0), (3, SLOTS_MAX + 1)] {
        assert_eq!(Geometry::new(bits, slots), Err(InvalidGeometry));
    }
}

/// A list of 300 members in four buckets: its buckets as they are served.
struct Small {
    key: ListKey,
    geometry: Geometry,
    root: Digest,
    buckets: Vec<Vec<u8>>,
}

fn small() -> Small {
    let key = ListKey::generate(&mut rng(10));
    let members: Vec<_> = (0..300_u32).map(|number| identifier(&number.to_be_bytes())).collect();
    let bits = Geometry::bits_for(300);
    let unpadded = Geometry::new(bits, 1).unwrap();
    let mut sets = vec![BTreeSet::new(); unpadded.buckets() as usize];
    for member in &members {
        sets[unpadded.bucket(member) as usize].insert(key.tag(member));
    }
    let fullest = sets.iter().map(BTreeSet::len).max().unwrap();
    let geometry = Geometry::fitting(bits, u32::try_from(fullest).unwrap()).unwrap();
    for (bucket, set) in (0..).zip(&mut sets) {
        let mut padding = (0..).map(|number| key.padding(bucket, number));
        while set.len() < geometry.slots() as usize {
            set.insert(padding.next().unwrap());
        }
    }
    let tags: Vec<Vec<u8>> = sets.iter().map(|set| set.iter().flat_map(|tag| *tag.as_bytes()).collect()).collect();
    let leaves = (0..).zip(&tags).map(|(number, tags)| BucketTree::leaf(number, tags)).collect();
    let tree = BucketTree::new(leaves).unwrap();
    let buckets = (0..).zip(&tags).map(|(number, tags)| [tags.as_slice(), &tree.path(number)].concat()).collect();
    Small { key, geometry, root: tree.root(), buckets }
}

impl Small {
    fn bucket(&self, bytes: &[u8], number: u32) -> Result<Bucket, BucketError> {
        Bucket::verify(bytes, &self.geometry, number, &self.root)
    }

    /// As a client does it, by what reaches it alone.
    fn check(&self, bytes: &[u8]) -> bool {
        let (blinded, pending) = PendingCheck::new(vec![identifier(bytes)], &mut rng(11)).unwrap();
        let evaluation = self.key.evaluate(&parsed(&blinded), &mut rng(12)).unwrap();
        let tag = pending.finalize(&evaluation, &self.key.public()).unwrap()[0];
        let number = self.geometry.bucket(&identifier(bytes));
        self.bucket(&self.buckets[number as usize], number).unwrap().holds(&tag)
    }
}

#[test]
fn members_are_found_and_others_are_not() {
    let list = small();
    assert_eq!((list.geometry.bits(), list.geometry.buckets()), (2, 4));
    for number in 0..300_u32 {
        assert!(list.check(&number.to_be_bytes()), "{number}");
    }
    for number in 300..600_u32 {
        assert!(!list.check(&number.to_be_bytes()), "{number}");
    }
}

#[test]
fn buckets_are_refused_for_each_reason() {
    let list = small();
    let verify = |bytes: &[u8], number| list.bucket(bytes, number).err();
    let one = &list.buckets[1];
    assert_eq!(verify(one, 1), None);
    assert_eq!(verify(one, 4), Some(BucketError::Number));
    assert_eq!(verify(one, 2), Some(BucketError::Root), "another bucket's number");
    for length in 0..one.len() {
        assert_eq!(verify(&one[..length], 1), Some(BucketError::Length), "{length}");
    }
    assert_eq!(verify(&[one.as_slice(), &[0]].concat(), 1), Some(BucketError::Length));
    for at in 0..one.len() {
        let mut altered = one.clone();
        altered[at] ^= 1;
        assert_eq!(verify(&altered, 1), Some(BucketError::Root), "byte {at}");
    }
    let other = Bucket::verify(one, &list.geometry, 1, &Digest::of(b"another epoch's"));
    assert_eq!(other.err(), Some(BucketError::Root));
}

#[test]
fn tags_ascend() {
    let verify = |tags: &[u8]| {
        let tree = BucketTree::new(vec![BucketTree::leaf(0, tags)]).unwrap();
        Bucket::verify(tags, &Geometry::new(0, 2).unwrap(), 0, &tree.root()).err()
    };
    let (low, high) = ([0, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(verify(&[low, high].concat()), None);
    assert_eq!(verify(&[high, low].concat()), Some(BucketError::Order));
    assert_eq!(verify(&[low, low].concat()), Some(BucketError::Order));
}

#[test]
fn trees_have_as_many_leaves_as_lists_have_buckets() {
    for count in [0, 3, (1 << 16) + 1, 1 << 17] {
        assert_eq!(BucketTree::new(vec![[0; 32]; count]).err(), Some(InvalidGeometry), "{count}");
    }
}

/// Padding looks like tags, is the same each time, and is another in each bucket and under each key.
#[test]
fn padding_is_the_keys_own() {
    let (key, other) = (ListKey::generate(&mut rng(13)), ListKey::generate(&mut rng(14)));
    let again = ListKey::from_secret_bytes(&*key.to_secret_bytes()).unwrap();
    let drawn: BTreeSet<_> =
        (0..16).flat_map(|b| (0..16).map(move |n| (b, n))).map(|(b, n)| key.padding(b, n)).collect();
    assert_eq!(drawn.len(), 256);
    assert!(key.padding(3, 4) == again.padding(3, 4));
    assert!(key.padding(3, 4) != other.padding(3, 4));
}

fn claims() -> ListManifest {
    ListManifest {
        tenant: "demo-platform".parse().unwrap(),
        list: "blocked".parse().unwrap(),
        meaning: ListMeaning::Blocked,
        epoch: 7,
        iat: NOW_MS / 1000,
        exp: NOW_MS / 1000 + 86_400,
        bits: 2,
        slots: 96,
        tag_bytes: 8,
        entries_max: 1024,
        key: ListPublicKey::parse(&PUBLIC).unwrap(),
        root: Digest::of(b"root"),
    }
}

fn verified(manifest: &ListManifest, last: Option<&ListManifest>, now_ms: u64) -> Result<ListManifest, ManifestError> {
    let own = claims();
    let expected = ListExpectation { tenant: &own.tenant, list: &own.list, epoch_min: 7, last };
    ListManifest::verify(&manifest.sign(&fixed_key()).unwrap(), &fixed_key().verifying_key(), &expected, now_ms)
}

#[test]
fn manifests_are_refused_for_each_reason() {
    let altered = |change: &dyn Fn(&mut ListManifest)| {
        let mut manifest = claims();
        change(&mut manifest);
        verified(&manifest, None, NOW_MS)
    };
    assert_eq!(altered(&|_| {}), Ok(claims()));
    assert_eq!(altered(&|m| m.tenant = "other".parse().unwrap()), Err(ManifestError::Tenant));
    assert_eq!(altered(&|m| m.list = "licensed".parse().unwrap()), Err(ManifestError::List));
    assert_eq!(altered(&|m| m.epoch = 6), Err(ManifestError::Epoch));
    assert_eq!(altered(&|m| m.bits = 17), Err(ManifestError::Geometry));
    assert_eq!(altered(&|m| m.slots = 0), Err(ManifestError::Geometry));
    assert_eq!(altered(&|m| m.slots = SLOTS_MAX + 1), Err(ManifestError::Geometry));
    assert_eq!(altered(&|m| m.tag_bytes = 7), Err(ManifestError::Geometry));
    assert_eq!(altered(&|m| m.iat += 31), Err(ManifestError::NotYet));
    assert_eq!(altered(&|m| m.exp = m.iat), Err(ManifestError::Lifetime));
    assert_eq!(altered(&|m| m.exp = m.iat + EPOCH_SECONDS_MAX + 1), Err(ManifestError::Lifetime));
    assert_eq!(verified(&claims(), None, NOW_MS + 86_400_000 + 30_000), Err(ManifestError::Expired));
    assert_eq!(verified(&claims(), None, NOW_MS + 86_400_000 + 29_999), Ok(claims()));
}

#[test]
fn epochs_rise_and_say_one_thing() {
    let next = ListManifest { epoch: 8, ..claims() };
    assert_eq!(verified(&next, Some(&claims()), NOW_MS), Ok(next.clone()));
    assert_eq!(verified(&claims(), Some(&claims()), NOW_MS), Ok(claims()), "the same again");
    assert_eq!(verified(&claims(), Some(&next), NOW_MS), Err(ManifestError::Epoch));
    let fork = ListManifest { root: Digest::of(b"made for somebody"), ..claims() };
    assert_eq!(verified(&fork, Some(&claims()), NOW_MS), Err(ManifestError::Epoch));
}

#[test]
fn manifests_are_signed_by_the_lists_key() {
    let (own, tenant) = (claims(), "demo-platform".parse::<TenantId>().unwrap());
    let expected = ListExpectation { tenant: &tenant, list: &own.list, epoch_min: 0, last: None };
    let verify = |token: &str| {
        ListManifest::verify(token, &fixed_key().verifying_key(), &expected, NOW_MS).map(|manifest| manifest.epoch)
    };
    let token = own.sign(&fixed_key()).unwrap();
    assert_eq!(verify(&token), Ok(7));
    let foreign = own.sign(&SigningKey::generate(&mut rng(15))).unwrap();
    assert_eq!(verify(&foreign), Err(ManifestError::Jws(JwsError::Key)));
    let body = token.find('.').unwrap() + 1..token.rfind('.').unwrap();
    for at in body {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(verify(&altered), Err(ManifestError::Jws(JwsError::Signature)), "character {at}");
    }
}

#[test]
fn a_key_that_is_no_element_is_not_read() {
    for bad in ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", "!"] {
        let mut claims = serde_json::to_value(claims()).unwrap();
        claims["key"] = bad.into();
        assert!(serde_json::from_value::<ListManifest>(claims).unwrap_err().to_string().contains("not an element"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is asked, in whatever company: the tag is the one that the list was built with.
    #[test]
    fn blinding_changes_nothing(
        inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=IDENTIFIER_BYTES_MAX), 1..=4),
        seed: u64,
    ) {
        let key = ListKey::generate(&mut rng(seed));
        let identifiers: Vec<_> = inputs.iter().map(|input| identifier(input)).collect();
        let expected: Vec<_> = identifiers.iter().map(|identifier| *key.tag(identifier).as_bytes()).collect();
        let (blinded, pending) = PendingCheck::new(identifiers, &mut rng(seed ^ 1)).unwrap();
        let evaluation = key.evaluate(&parsed(&blinded), &mut rng(seed ^ 2)).unwrap();
        prop_assert_eq!(tags(pending.finalize(&evaluation, &key.public())), Ok(expected));
    }

    /// What is sent for one identifier is never the same twice, and never what another was sent as.
    #[test]
    fn what_is_sent_says_nothing(seed: u64) {
        let sent = |bytes: &[u8], seed| PendingCheck::new(vec![identifier(bytes)], &mut rng(seed)).unwrap().0;
        prop_assert_ne!(sent(b"clip", seed), sent(b"clip", seed ^ 1));
    }

    #[test]
    fn paths_lead_to_the_root(bits in 0_u8..8, seed: u64) {
        let mut rng = rng(seed);
        let geometry = Geometry::new(bits, 1).unwrap();
        let tags: Vec<[u8; 8]> = (0..geometry.buckets()).map(|_| rng.next_u64().to_be_bytes()).collect();
        let leaves = (0..).zip(&tags).map(|(number, tag)| BucketTree::leaf(number, tag)).collect();
        let tree = BucketTree::new(leaves).unwrap();
        for (number, tag) in (0..).zip(&tags) {
            let bucket = Bucket::verify(&[&tag[..], &tree.path(number)].concat(), &geometry, number, &tree.root());
            prop_assert!(bucket.is_ok_and(|bucket| bucket.holds(&Tag::from_bytes(*tag))));
        }
    }

    #[test]
    fn no_bytes_break_anything(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::manifest(&data);
        fuzz::bucket(&data);
        fuzz::query(&data);
    }
}
