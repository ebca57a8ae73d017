//! PDQ: a perceptual hash of a picture, and an index that finds near hashes (Meta, "The TMK+PDQF Video-Hashing Algorithm
//! and the PDQ Image-Hashing Algorithm", 2019).
//!
//! Two pictures that a person takes for the same differ in few of 256 bits, also after scaling, recompression and small
//! edits; crops, rotations and mirror images are other pictures to it. The hash hides nothing: who has it can tell which
//! picture of a known set it is of. It is for lists that a platform owns and shows openly to its nodes.

pub mod fuzz;
mod hash;
mod index;
mod picture;

pub use hash::{Hashed, PdqHash, PdqHashError, SIDE_MIN};
pub use index::{DISTANCE_MAX, ENTRIES_MAX, Match, PdqIndex, TooMany};
pub use picture::{PICTURE_SIDE_MAX, PictureError, PictureType, luminance};
