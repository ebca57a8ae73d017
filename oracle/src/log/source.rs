//! Where a log is read from: a folder, or an HTTPS address. Nothing that comes from there is believed.

use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use policies::Digest;
use policies::log::bundle::{self, BUNDLE_BYTES_MAX};
use policies::log::tile::{self, TILE_BYTES_MAX, tiles_of};
use policies::log::tree::{consistency_ranges, inclusion_ranges, proof};
use policies::log::{Tile, TileSet};
use rustls_pki_types::CertificateDer;

use super::folder::{CHECKPOINT, Folder, bounded};
use crate::client::{Client, ClientError, ClientOptions};

/// From a call to its answer: a full bundle of entries is up to 16 MiB.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the log's files are asked for by their path.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The address is not `https://host[:port][/path]`.
    #[error("the log's address is a folder or of the form https://host[:port][/path]")]
    Address,
    /// A file of the log is not there.
    #[error("a file of the log is missing")]
    Missing,
    /// A file of the log is not of its form.
    #[error("a file of the log is not of its form")]
    Form,
    /// A file cannot be read.
    #[error("the log's folder cannot be read")]
    Io(#[from] std::io::Error),
    /// The server.
    #[error("the log's server gave no answer")]
    Client(#[from] ClientError),
    /// The node's centre.
    #[error("the centre gave no file of its log")]
    Centre,
}

/// Gives tiles by name; nothing where there is no such file.
pub(crate) trait TileFetch: Sync {
    /// The file at a path below the log's root.
    fn fetch(&self, path: &str, bytes_max: usize) -> impl Future<Output = Result<Option<Vec<u8>>, SourceError>> + Send;
}

/// A log's files.
pub enum Location {
    /// In a folder.
    Folder(PathBuf),
    /// At a server.
    Server {
        /// A connection to it.
        client: Box<Client>,
        /// The path before the log's files, without a slash at its end.
        prefix: String,
    },
}

impl Location {
    /// A folder, or an address, whose server one of `roots` must vouch for. Without a path, the log is below `/log`.
    ///
    /// # Errors
    /// An address of another form, or roots that cannot be used.
    pub fn parse(text: &str, roots: Vec<CertificateDer<'static>>) -> Result<Self, SourceError> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::Folder(text.into())) };
        if !matches!(scheme, "https" | "http") {
            return Err(SourceError::Address);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        let prefix = if path.is_empty() { "/log".to_owned() } else { format!("/{path}") };
        let client = Client::new(ClientOptions {
            deadline: DEADLINE,
            answer_bytes_max: BUNDLE_BYTES_MAX,
            ..ClientOptions::new(format!("{scheme}://{authority}"), roots)
        })?;
        Ok(Self::Server { client: Box::new(client), prefix })
    }

    /// The newest checkpoint's note.
    pub(super) async fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.fetch(CHECKPOINT, policies::log::note::NOTE_BYTES_MAX).await?.ok_or(SourceError::Missing)
    }
}

impl TileFetch for Location {
    async fn fetch(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, SourceError> {
        match self {
            Self::Folder(root) => Ok(bounded(&root.join(path), bytes_max)?),
            Self::Server { client, prefix } => match client.get(&format!("{prefix}/{path}")).send().await {
                Ok(answer) if answer.body.len() > bytes_max => Err(SourceError::Form),
                Ok(answer) => Ok(Some(answer.body.to_vec())),
                Err(error) if error.status() == Some(404) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }
}

impl TileFetch for Folder {
    async fn fetch(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, SourceError> {
        let path = self.root().join(path);
        let read = tokio::task::spawn_blocking(move || bounded(&path, bytes_max)).await;
        Ok(read.map_err(std::io::Error::other)??)
    }
}

/// A tile's bytes, or the full one's that took a partial one's place; with which of the two it is.
async fn tile_bytes(from: &impl TileFetch, tile: Tile, bytes_max: usize) -> Result<(Tile, Vec<u8>), SourceError> {
    if let Some(bytes) = from.fetch(&tile.to_string(), bytes_max).await? {
        return Ok((tile, bytes));
    }
    let full = tile.full();
    let bytes = if tile.is_partial() { from.fetch(&full.to_string(), bytes_max).await? } else { None };
    Ok((full, bytes.ok_or(SourceError::Missing)?))
}

/// A tile's hashes, as many as the tree has.
pub(super) async fn hashes(from: &impl TileFetch, tile: Tile) -> Result<Vec<Digest>, SourceError> {
    let (found, bytes) = tile_bytes(from, tile, TILE_BYTES_MAX).await?;
    let mut hashes = tile::decode(found, &bytes).ok_or(SourceError::Form)?;
    hashes.truncate(tile.width.into());
    Ok(hashes)
}

/// A bundle's entries, as many as the tree has.
pub(super) async fn entries(from: &impl TileFetch, tile: Tile) -> Result<Vec<Vec<u8>>, SourceError> {
    let (found, bytes) = tile_bytes(from, tile, BUNDLE_BYTES_MAX).await?;
    let entries = bundle::decode(&bytes, found.width).map_err(|_| SourceError::Form)?;
    Ok(entries.into_iter().take(tile.width.into()).map(<[u8]>::to_vec).collect())
}

/// The proof that the leaf at `index` is in the tree of `size`. Not verified.
pub(crate) async fn inclusion(from: &impl TileFetch, index: u64, size: u64) -> Result<Vec<Digest>, SourceError> {
    of_ranges(from, &inclusion_ranges(index, size), size).await
}

/// The proof that the tree of `to` extends that of `earlier`. Not verified.
pub(crate) async fn consistency(from: &impl TileFetch, earlier: u64, to: u64) -> Result<Vec<Digest>, SourceError> {
    of_ranges(from, &consistency_ranges(earlier, to), to).await
}

async fn of_ranges(from: &impl TileFetch, ranges: &[Range<u64>], size: u64) -> Result<Vec<Digest>, SourceError> {
    let mut tiles = TileSet::default();
    for tile in tiles_of(ranges, size) {
        tiles.insert(tile.level.unwrap_or(0), tile.index, hashes(from, tile).await?);
    }
    proof(ranges, &tiles).map_err(|_| SourceError::Missing)
}
