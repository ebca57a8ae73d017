//! Checks of content: what a clip, a frame or a stream claims to be, and whether that can be believed.
//!
//! Sans-IO as the rest of the crate: bytes in, a result out. What goes into a signed answer is bounded and free of
//! control characters, whoever wrote it.

pub mod jumbf;
pub mod list;
pub mod live;
#[cfg(feature = "c2pa")]
pub mod provenance;
mod text;

pub use text::TEXT_BYTES_MAX;
