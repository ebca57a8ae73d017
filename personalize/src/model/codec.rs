//! Canonical bytes of a model: one CBOR array (RFC 8949 § 4.2.1, definite lengths, shortest integers).
//!
//! ```text
//! ["siwa model", 1, tenant, version, catalogue, base rate, top, weights of top, mode, w, dims, embeddings, quality,
//!  popularity, λ, γ, parent | null, [release…], ρ, ε, δ, private]
//! ```
//!
//! Arrays of numbers are byte strings of little-endian 32-bit values; of embeddings only the first `dims` dimensions
//! are written, up to the last that any item uses. What a decoder reads is encoded again and compared, so a model has
//! one form only.

use minicbor::decode::Error as Bad;
use minicbor::{Decoder, Encoder};
use policies::{Digest, Rho, TenantId};

use super::{DIMS, Mode, ModelError, ModelParts, Provenance, RELEASE_NAME_BYTES_MAX, RELEASES_MAX};
use crate::catalogue::ItemIndex;
use crate::features::FEATURES;
use crate::frame::{FRAME_ITEMS_MAX, Frame};

const FORM: &str = "siwa model";
const EDITION: u8 = 1;
const FIELDS: u64 = 22;

pub(super) fn encode(parts: &ModelParts) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes), parts).expect("writing to memory does not fail");
    bytes
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn write(encoder: &mut Encoder<&mut Vec<u8>>, parts: &ModelParts) -> Written {
    let ModelParts { frame, provenance, .. } = parts;
    let dims = parts.embeddings.iter().filter_map(|row| row.iter().rposition(|value| *value != 0.0)).max();
    let dims = dims.map_or(0, |last| last + 1);
    encoder.array(FIELDS)?.str(FORM)?.u8(EDITION)?.str(parts.tenant.as_str())?.u64(parts.version)?;
    encoder.bytes(frame.catalogue.as_bytes())?.u32(frame.base_rate_ppm)?;
    encoder.bytes(&integers(frame.top.iter().map(|item| item.0)))?;
    encoder.bytes(&integers(frame.weights_ppm.iter().copied()))?.u8(parts.mode as u8)?;
    encoder.bytes(&floats(&parts.weights))?.u64(dims as u64)?;
    encoder.bytes(&floats(parts.embeddings.iter().flat_map(|row| &row[..dims])))?;
    encoder.bytes(&floats(&parts.quality))?.bytes(&floats(&parts.popularity))?;
    encoder.f32(parts.precision)?.f32(parts.exploration)?;
    match &provenance.parent {
        Some(parent) => encoder.bytes(parent.as_bytes())?,
        None => encoder.null()?,
    };
    encoder.array(provenance.releases.len() as u64)?;
    for name in &provenance.releases {
        encoder.str(name)?;
    }
    encoder.u64(provenance.rho.picos())?.f64(provenance.epsilon)?.f64(provenance.delta)?.bool(provenance.private)?;
    Ok(())
}

fn integers(values: impl Iterator<Item = u32>) -> Vec<u8> {
    values.flat_map(u32::to_le_bytes).collect()
}

fn floats<'a>(values: impl IntoIterator<Item = &'a f32>) -> Vec<u8> {
    values.into_iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Reads the parts of a model over `items` items. Allocates no more than `bytes` could hold.
pub(super) fn decode(bytes: &[u8], items: usize) -> Result<ModelParts, ModelError> {
    let mut decoder = Decoder::new(bytes);
    let parts = read(&mut decoder, items).map_err(|_| ModelError::Form)?;
    if decoder.position() == bytes.len() { Ok(parts) } else { Err(ModelError::Form) }
}

/// The catalogue that a model was made for, without reading the rest.
pub(super) fn catalogue(bytes: &[u8]) -> Result<Digest, ModelError> {
    let mut decoder = Decoder::new(bytes);
    read_catalogue(&mut decoder).map_err(|_| ModelError::Form)
}

fn read_catalogue(decoder: &mut Decoder<'_>) -> Result<Digest, Bad> {
    read_head(decoder)?;
    read_digest(decoder)
}

/// Form, edition, tenant and version.
fn read_head(decoder: &mut Decoder<'_>) -> Result<(TenantId, u64), Bad> {
    if decoder.array()? != Some(FIELDS) || decoder.str()? != FORM || decoder.u8()? != EDITION {
        return Err(Bad::message("another form"));
    }
    let tenant = decoder.str()?.parse().map_err(|_| Bad::message("tenant"))?;
    Ok((tenant, decoder.u64()?))
}

fn read(decoder: &mut Decoder<'_>, items: usize) -> Result<ModelParts, Bad> {
    let (tenant, version) = read_head(decoder)?;
    let frame = read_frame(decoder)?;
    let mode = read_mode(decoder)?;
    let weights = read_floats(decoder, FEATURES)?.try_into().map_err(|_| Bad::message("weights"))?;
    let embeddings = read_embeddings(decoder, items)?;
    let (quality, popularity) = (read_floats(decoder, items)?, read_floats(decoder, items)?);
    let (precision, exploration) = (decoder.f32()?, decoder.f32()?);
    let provenance = read_provenance(decoder)?;
    Ok(ModelParts {
        tenant,
        version,
        frame,
        mode,
        weights,
        embeddings,
        quality,
        popularity,
        precision,
        exploration,
        provenance,
    })
}

fn read_mode(decoder: &mut Decoder<'_>) -> Result<Mode, Bad> {
    match decoder.u8()? {
        0 => Ok(Mode::Prior),
        1 => Ok(Mode::Content),
        2 => Ok(Mode::Collaborative),
        _ => Err(Bad::message("mode")),
    }
}

fn read_frame(decoder: &mut Decoder<'_>) -> Result<Frame, Bad> {
    let catalogue = read_digest(decoder)?;
    let base_rate_ppm = decoder.u32()?;
    let top = read_integers(decoder)?.into_iter().map(ItemIndex).collect();
    Ok(Frame { catalogue, base_rate_ppm, top, weights_ppm: read_integers(decoder)? })
}

fn read_digest(decoder: &mut Decoder<'_>) -> Result<Digest, Bad> {
    decoder.bytes()?.try_into().map(Digest::from_bytes).map_err(|_| Bad::message("digest"))
}

fn read_integers(decoder: &mut Decoder<'_>) -> Result<Vec<u32>, Bad> {
    let bytes = decoder.bytes()?;
    let (words, rest) = bytes.as_chunks();
    if !rest.is_empty() || words.len() > FRAME_ITEMS_MAX {
        return Err(Bad::message("frame"));
    }
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

fn read_floats(decoder: &mut Decoder<'_>, length: usize) -> Result<Vec<f32>, Bad> {
    let (words, rest) = decoder.bytes()?.as_chunks();
    if !rest.is_empty() || words.len() != length {
        return Err(Bad::message("length"));
    }
    Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}

fn read_embeddings(decoder: &mut Decoder<'_>, items: usize) -> Result<Vec<[f32; DIMS]>, Bad> {
    let dims = usize::try_from(decoder.u64()?).ok().filter(|dims| *dims <= DIMS).ok_or(Bad::message("dims"))?;
    let numbers = read_floats(decoder, items * dims)?;
    let mut embeddings = vec![[0.0; DIMS]; items];
    if dims > 0 {
        for (row, values) in embeddings.iter_mut().zip(numbers.chunks_exact(dims)) {
            row[..dims].copy_from_slice(values);
        }
    }
    Ok(embeddings)
}

fn read_provenance(decoder: &mut Decoder<'_>) -> Result<Provenance, Bad> {
    let parent = match decoder.datatype()? {
        minicbor::data::Type::Null => decoder.null().map(|()| None)?,
        _ => Some(read_digest(decoder)?),
    };
    let names = decoder.array()?.filter(|names| *names <= RELEASES_MAX as u64).ok_or(Bad::message("releases"))?;
    let mut releases = Vec::new();
    for _ in 0..names {
        let name = decoder.str()?;
        if name.len() > RELEASE_NAME_BYTES_MAX {
            return Err(Bad::message("release"));
        }
        releases.push(name.to_owned());
    }
    let rho = Rho::from_picos(decoder.u64()?).map_err(|_| Bad::message("rho"))?;
    let (epsilon, delta, private) = (decoder.f64()?, decoder.f64()?, decoder.bool()?);
    Ok(Provenance { parent, releases, rho, epsilon, delta, private })
}
