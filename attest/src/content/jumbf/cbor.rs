//! The shape of one CBOR item (RFC 8949 §3): lengths within the bytes, depth and count within limits.

use super::{CBOR_DEPTH_MAX, CBOR_ITEMS_MAX, JumbfError};

/// A container that is being read.
#[derive(Clone, Copy)]
enum Open {
    /// So many items are still to come.
    Items(u64),
    /// Items come until a break (RFC 8949 §3.2).
    UntilBreak,
}

const BREAK: u8 = 0xff;

/// Reads one item to its end. What follows it is not looked at.
///
/// # Errors
/// [`JumbfError::Cbor`], [`JumbfError::TooDeep`], [`JumbfError::TooMany`].
pub(super) fn check(bytes: &[u8], items: &mut usize) -> Result<(), JumbfError> {
    let mut rest = bytes;
    let mut open = vec![Open::Items(1)];
    while let Some(container) = open.last_mut() {
        match container {
            Open::Items(0) => {
                open.pop();
                continue;
            }
            Open::Items(left) => *left -= 1,
            Open::UntilBreak if rest.first() == Some(&BREAK) => {
                rest = &rest[1..];
                open.pop();
                continue;
            }
            Open::UntilBreak => {}
        }
        *items += 1;
        if *items > CBOR_ITEMS_MAX {
            return Err(JumbfError::TooMany);
        }
        let (inner, after) = item(rest)?;
        rest = after;
        if let Some(inner) = inner {
            open.push(inner);
            if open.len() > CBOR_DEPTH_MAX {
                return Err(JumbfError::TooDeep);
            }
        }
    }
    Ok(())
}

/// One head with what belongs to it: the container that it opens, if it does, and what follows.
fn item(bytes: &[u8]) -> Result<(Option<Open>, &[u8]), JumbfError> {
    let (&head, rest) = bytes.split_first().ok_or(JumbfError::Cbor)?;
    let (major, information) = (head >> 5, head & 0x1f);
    if information == 31 {
        // Strings of unknown length are made of strings; a break outside belongs to nothing.
        return if (2..=5).contains(&major) { Ok((Some(Open::UntilBreak), rest)) } else { Err(JumbfError::Cbor) };
    }
    let (argument, rest) = argument(information, rest)?;
    let within = |count: u64| usize::try_from(count).ok().filter(|count| *count <= rest.len()).ok_or(JumbfError::Cbor);
    match major {
        2 | 3 => Ok((None, &rest[within(argument)?..])),
        // An item has a byte at least: more than there are bytes is more than can come.
        4 => within(argument).map(|_| (Some(Open::Items(argument)), rest)),
        5 => {
            let items = argument.checked_mul(2).ok_or(JumbfError::Cbor)?;
            within(items).map(|_| (Some(Open::Items(items)), rest))
        }
        6 => Ok((Some(Open::Items(1)), rest)),
        _ => Ok((None, rest)),
    }
}

fn argument(information: u8, bytes: &[u8]) -> Result<(u64, &[u8]), JumbfError> {
    let count = match information {
        0..24 => return Ok((information.into(), bytes)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err(JumbfError::Cbor),
    };
    let (number, rest) = bytes.split_at_checked(count).ok_or(JumbfError::Cbor)?;
    Ok((number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), rest))
}
