//! Hashing and proofs: the trees of Certificate Transparency's tests, then every small tree, then random large ones.

use proptest::prelude::*;

use super::tree::{empty_root, verify_consistency, verify_inclusion};
use super::*;

/// Leaves and roots of the reference tests of Certificate Transparency (google/certificate-transparency, Apache-2.0).
const LEAVES: [&[u8]; 8] = [
    b"",
    &[0x00],
    &[0x10],
    &[0x20, 0x21],
    &[0x30, 0x31],
    &[0x40, 0x41, 0x42, 0x43],
    &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
    &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn digests<const N: usize>(texts: [&str; N]) -> Vec<Digest> {
    texts.map(|text| text.parse().unwrap()).to_vec()
}

#[test]
fn known_roots() {
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (leaf, root) in LEAVES.iter().zip(ROOTS) {
        frontier.append(leaf_hash(leaf), |_, _| {});
        assert_eq!(frontier.root().to_string(), root);
    }
}

#[test]
fn known_proofs() {
    let tree = Tree::of(LEAVES);
    let inclusion = digests([
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]);
    assert_eq!(tree.inclusion(0, 8), inclusion);
    let consistency = digests([
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
    assert_eq!(tree.consistency(6, 8), consistency);
}

#[test]
fn every_proof_of_every_small_tree_verifies_for_its_place_alone() {
    let tree = Tree::numbered(33);
    for size in 1..=33 {
        let root = tree.root(size);
        for index in 0..size {
            let proof = tree.inclusion(index, size);
            let leaf = leaf_hash(&index.to_be_bytes());
            assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));
            for other in (0..size).filter(|other| *other != index) {
                assert!(verify_inclusion(&leaf, other, size, &proof, &root).is_err(), "{index} as {other} of {size}");
            }
            let longer = [proof.as_slice(), &[root]].concat();
            assert_eq!(verify_inclusion(&leaf, index, size, &longer, &root), Err(ProofError::Length));
            if let Some((_, shorter)) = proof.split_last() {
                assert_eq!(verify_inclusion(&leaf, index, size, shorter, &root), Err(ProofError::Length));
            }
            assert_eq!(verify_inclusion(&leaf, size, size, &proof, &root), Err(ProofError::Range));
        }
        for from in 0..=size {
            let (proof, old) = (tree.consistency(from, size), tree.root(from));
            let verify = |proof: &[Digest]| verify_consistency((from, &old), (size, &root), proof);
            assert_eq!(verify(&proof), Ok(()), "{from} to {size}");
            assert_eq!(verify(&[proof.as_slice(), &[root]].concat()), Err(ProofError::Length));
            if let Some((_, shorter)) = proof.split_last() {
                assert_eq!(verify(shorter), Err(ProofError::Length));
            }
            let other = Digest::of(b"other");
            assert_eq!(verify_consistency((from, &other), (size, &root), &proof), Err(ProofError::Root));
            if from > 0 {
                assert_eq!(verify_consistency((from, &old), (size, &other), &proof), Err(ProofError::Root));
            }
            if from < size {
                assert_eq!(verify_consistency((size, &root), (from, &old), &proof), Err(ProofError::Range));
            }
        }
    }
}

#[test]
fn the_empty_tree_has_one_root() {
    let (empty, other) = (empty_root(), Digest::of(b"other"));
    assert_eq!(verify_consistency((0, &empty), (0, &empty), &[]), Ok(()));
    assert_eq!(verify_consistency((0, &other), (0, &other), &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency((0, &empty), (0, &other), &[]), Err(ProofError::Root));
    assert_eq!(verify_inclusion(&other, 0, 0, &[], &other), Err(ProofError::Range));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Tiles give the same hashes, roots and proofs as the tree itself, and a proof with an altered hash is refused.
    #[test]
    fn tiles_prove_what_the_tree_proves(size in 1_u64..1500, place in any::<prop::sample::Index>(), from in any::<prop::sample::Index>()) {
        let tree = Tree::numbered(size);
        let index = place.index(usize::try_from(size).unwrap()) as u64;
        let from = from.index(usize::try_from(size).unwrap()) as u64;
        let ranges = [tree::inclusion_ranges(index, size), tree::consistency_ranges(from, size)].concat();
        let mut tiles = TileSet::default();
        for tile in tile::tiles_of(&ranges, size) {
            let level = tile.level.unwrap();
            let first = tile.index * 256;
            let hashes: Vec<_> = (first..first + u64::from(tile.width))
                .map(|index| tree.hashes[&Subtree { level: level * 8, index }])
                .collect();
            let read = tile::decode(tile, &tile::encode(&hashes)).unwrap();
            prop_assert_eq!(&read, &hashes);
            tiles.insert(level, tile.index, read);
        }
        let inclusion = tree::proof(&tree::inclusion_ranges(index, size), &tiles).unwrap();
        prop_assert_eq!(&inclusion, &tree.inclusion(index, size));
        let consistency = tree::proof(&tree::consistency_ranges(from, size), &tiles).unwrap();
        prop_assert_eq!(&consistency, &tree.consistency(from, size));
        prop_assert_eq!(Frontier::read(size, &tree).unwrap(), tree.frontier.clone());
        let root = tree.root(size);
        let leaf = leaf_hash(&index.to_be_bytes());
        for at in 0..inclusion.len() {
            let mut altered = inclusion.clone();
            altered[at] = Digest::of(altered[at].as_bytes());
            prop_assert_eq!(verify_inclusion(&leaf, index, size, &altered, &root), Err(ProofError::Root));
        }
        for at in 0..consistency.len() {
            let mut altered = consistency.clone();
            altered[at] = Digest::of(altered[at].as_bytes());
            let old = tree.root(from);
            prop_assert_eq!(verify_consistency((from, &old), (size, &root), &altered), Err(ProofError::Root));
        }
    }
}
