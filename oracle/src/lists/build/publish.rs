//! From the chunks to an epoch's folder, which appears whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use attest::content::list::{BITS_MAX, BucketTree, Geometry, ListKey, ListManifest, TAG_BYTES, Tag};

use super::chunk::{Finished, PARTS, Record, merged};
use super::{Build, BuildError, Plan};
use crate::lists::ListFolderError;
use crate::lists::epoch::{BUCKETS, KEY, MANIFEST};
use crate::lists::files::{create_folder, remove_folder, replace, sync};

const OUT: &str = "epoch";
const TAGS: &str = "tags.bin";
/// The manifest says how many members there are in powers of two, and not less than this.
const ENTRIES_STEP_MIN: u64 = 1024;

/// Members by the 16 bits of their prefix, and all together.
pub(super) fn spread(chunks: &[Finished]) -> Result<(Vec<u32>, u64), BuildError> {
    let mut counts = vec![0; 1 << BITS_MAX];
    let mut members = 0;
    for part in 0..PARTS {
        for (prefix, _) in merged(chunks, part)? {
            counts[usize::from(prefix)] += 1;
            members += 1;
        }
    }
    Ok((counts, members))
}

/// Members of the fullest bucket where buckets are chosen by `bits` bits.
pub(super) fn fullest(spread: &[u32], bits: u8) -> u32 {
    let prefixes = spread.len() >> bits;
    spread
        .chunks(prefixes)
        .map(|counts| counts.iter().fold(0_u32, |sum, count| sum.saturating_add(*count)))
        .max()
        .unwrap_or(0)
}

/// Writes the epoch's folder, renames it to its place and puts it in force.
pub(super) fn publish(
    build: &Build<'_>,
    plan: &Plan,
    key: &ListKey,
    geometry: Geometry,
    members: u64,
    chunks: &[Finished],
) -> Result<(), BuildError> {
    let (folder, work) = (build.folder, build.folder.build_folder());
    let place = folder.epoch_folder(plan.epoch);
    // A run that was stopped behind the rename has left nothing to do but the rest.
    if !place.try_exists().map_err(ListFolderError::io(&place))? {
        let out = work.join(OUT);
        remove_folder(&out)?;
        create_folder(&out)?;
        let tree = write_tags(&work.join(TAGS), key, geometry, chunks)?;
        write_buckets(&work.join(TAGS), &out.join(BUCKETS), geometry, &tree)?;
        let manifest = ListManifest {
            tenant: folder.tenant.clone(),
            list: folder.list.clone(),
            meaning: folder.meaning,
            epoch: plan.epoch,
            iat: plan.created_s,
            exp: plan.expires_s,
            bits: geometry.bits(),
            slots: geometry.slots(),
            tag_bytes: u8::try_from(TAG_BYTES).expect("a tag has eight bytes"),
            entries_max: members.max(ENTRIES_STEP_MIN).next_power_of_two(),
            key: key.public(),
            root: tree.root(),
        };
        let token = manifest.sign(build.signer)?;
        replace(&out.join(MANIFEST), token.as_bytes())?;
        let sealed = fs::read(work.join(KEY)).map_err(ListFolderError::io(&work))?;
        replace(&out.join(KEY), &sealed)?;
        fs::rename(&out, &place).map_err(ListFolderError::io(&place))?;
        sync(place.parent().unwrap_or(&place)).map_err(ListFolderError::io(&place))?;
    }
    folder.make_current(plan.epoch)?;
    // The two before it stay: a node answers for the one before that which it serves, and may not have taken this one up.
    // The keys of earlier ones are erased.
    folder.forget_before(plan.epoch.saturating_sub(2))?;
    Ok(())
}

/// Writes every bucket's tags, and gives the tree over them.
fn write_tags(path: &Path, key: &ListKey, geometry: Geometry, chunks: &[Finished]) -> Result<BucketTree, BuildError> {
    let mut out = BufWriter::new(File::create(path).map_err(ListFolderError::io(path))?);
    let mut leaves = Vec::with_capacity(geometry.buckets() as usize);
    let mut tags = BTreeSet::new();
    let mut write = |tags: &mut BTreeSet<Tag>| -> Result<(), BuildError> {
        let number = u32::try_from(leaves.len()).map_err(|_| BuildError::TooMany)?;
        let bytes = filled(std::mem::take(tags), key, geometry, number);
        leaves.push(BucketTree::leaf(number, &bytes));
        Ok(out.write_all(&bytes).map_err(ListFolderError::io(path))?)
    };
    let mut open = 0;
    for part in 0..PARTS {
        for (prefix, tag) in merged(chunks, part)? as Vec<Record> {
            while open < geometry.bucket_of_prefix(prefix) {
                write(&mut tags)?;
                open += 1;
            }
            tags.insert(tag);
        }
    }
    while open < geometry.buckets() {
        write(&mut tags)?;
        open += 1;
    }
    out.into_inner().map_err(|error| ListFolderError::io(path)(error.into_error()))?;
    Ok(BucketTree::new(leaves)?)
}

/// A bucket's tags in order, filled up to as many as every bucket has.
fn filled(mut tags: BTreeSet<Tag>, key: &ListKey, geometry: Geometry, number: u32) -> Vec<u8> {
    let mut padding = (0..).map(|count| key.padding(number, count));
    while tags.len() < geometry.slots() as usize {
        tags.extend(padding.next());
    }
    tags.iter().flat_map(|tag| *tag.as_bytes()).collect()
}

/// Writes the buckets as they are served: tags, then the path to the root.
fn write_buckets(tags: &Path, path: &Path, geometry: Geometry, tree: &BucketTree) -> Result<(), BuildError> {
    let mut read = BufReader::new(File::open(tags).map_err(ListFolderError::io(tags))?);
    let mut out = BufWriter::new(File::create(path).map_err(ListFolderError::io(path))?);
    let mut bytes = vec![0; geometry.tags_bytes()];
    for number in 0..geometry.buckets() {
        read.read_exact(&mut bytes).map_err(ListFolderError::io(tags))?;
        let written = out.write_all(&bytes).and_then(|()| out.write_all(&tree.path(number)));
        written.map_err(ListFolderError::io(path))?;
    }
    let file = out.into_inner().map_err(|error| ListFolderError::io(path)(error.into_error()))?;
    Ok(file.sync_all().map_err(ListFolderError::io(path))?)
}
