//! Reads an audience from a log: `slates.jsonl`, one ranking decision a line.
//!
//! ```json
//! {"session":"u1-0","step":0,"candidates":["50","181"],"liked":["181"]}
//! ```
//! Lines of a session follow each other, `step` counts from 0. Sessions are replayed in the file's order.

use std::collections::HashMap;
use std::io::{self, BufRead};

use serde::Deserialize;

use super::{Audience, Decision, Visit};

/// Bytes of a line at most.
const LINE_BYTES_MAX: u64 = 256 * 1024;

/// A line of the log was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlateError {
    #[error("cannot read the slates")]
    Read(#[from] io::Error),
    #[error("line {line} of the slates is not a slate")]
    Form { line: usize, source: serde_json::Error },
    #[error("line {line} of the slates is longer than {LINE_BYTES_MAX} bytes")]
    Long { line: usize },
    #[error("line {line} of the slates names an item that is not in the catalogue")]
    Item { line: usize },
    #[error("line {line} of the slates has no candidates")]
    Empty { line: usize },
    #[error("line {line} of the slates is step {step} of its session where {expected} should be")]
    Step { line: usize, step: usize, expected: usize },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slate<'a> {
    #[serde(borrow)]
    session: std::borrow::Cow<'a, str>,
    step: usize,
    candidates: Vec<String>,
    liked: Vec<String>,
}

/// Reads slates until the end, or until `sessions_max` sessions are whole.
///
/// # Errors
/// The first line that is not a slate over `items`, by its number.
pub(crate) fn read_slates(
    mut input: impl BufRead,
    items: Vec<String>,
    sessions_max: usize,
) -> Result<Audience, SlateError> {
    let index: HashMap<&str, u32> = items.iter().map(String::as_str).zip(0..).collect();
    let mut visits: Vec<Visit> = Vec::new();
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        let read = io::Read::take(&mut input, LINE_BYTES_MAX).read_line(&mut text)?;
        if read == 0 {
            break;
        }
        if !text.ends_with('\n') && read as u64 == LINE_BYTES_MAX {
            return Err(SlateError::Long { line });
        }
        let slate: Slate<'_> = serde_json::from_str(&text).map_err(|source| SlateError::Form { line, source })?;
        let find = |id: &String| index.get(id.as_str()).copied().ok_or(SlateError::Item { line });
        let candidates = slate.candidates.iter().map(find).collect::<Result<Box<[u32]>, _>>()?;
        let liked = slate.liked.iter().map(find).collect::<Result<Box<[u32]>, _>>()?;
        if candidates.is_empty() {
            return Err(SlateError::Empty { line });
        }
        if visits.last().is_none_or(|visit| visit.viewer != slate.session) {
            if visits.len() == sessions_max {
                break;
            }
            visits.push(Visit { viewer: slate.session.into_owned(), decisions: Vec::new() });
        }
        let visit = visits.last_mut().expect("a visit was pushed if there was none");
        if slate.step != visit.decisions.len() {
            return Err(SlateError::Step { line, step: slate.step, expected: visit.decisions.len() });
        }
        visit.decisions.push(Decision { candidates, liked });
    }
    drop(index);
    Ok(Audience { items, visits })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"session":"a","step":0,"candidates":["x","y"],"liked":["y"]}
{"session":"a","step":1,"candidates":["y","z"],"liked":[]}
{"session":"b","step":0,"candidates":["z"],"liked":["z"]}
"#;

    fn read(log: &str, sessions_max: usize) -> Result<Audience, SlateError> {
        read_slates(log.as_bytes(), ["x", "y", "z"].map(String::from).to_vec(), sessions_max)
    }

    #[test]
    fn groups_lines_by_session() {
        let audience = read(LOG, usize::MAX).unwrap();
        assert_eq!(
            audience.visits.iter().map(|v| (v.viewer.as_str(), v.decisions.len())).collect::<Vec<_>>(),
            [("a", 2), ("b", 1)]
        );
        assert_eq!(audience.visits[0].decisions[0], Decision { candidates: [0, 1].into(), liked: [1].into() });
        assert_eq!(read(LOG, 1).unwrap().visits.len(), 1);
    }

    #[test]
    fn refuses_by_line() {
        for (bad, expected) in [
            (LOG.replace("\"z\"]", "\"q\"]"), "line 2 of the slates names an item that is not in the catalogue"),
            (
                LOG.replace("\"step\":1", "\"step\":2"),
                "line 2 of the slates is step 2 of its session where 1 should be",
            ),
            (LOG.replace("{\"session\":\"b\"", "{"), "line 3 of the slates is not a slate"),
            (LOG.replace("[\"z\"],\"liked\":[\"z\"]", "[],\"liked\":[]"), "line 3 of the slates has no candidates"),
            (LOG.replace("\"step\":0", "\"extra\":1,\"step\":0"), "line 1 of the slates is not a slate"),
        ] {
            assert_eq!(read(&bad, usize::MAX).map(|_| ()).map_err(|e| e.to_string()), Err(expected.to_owned()));
        }
        let long = format!("{{\"session\":\"{}", "a".repeat(300_000));
        assert_eq!(
            read(&long, 9).map(|_| ()).map_err(|e| e.to_string()),
            Err("line 1 of the slates is longer than 262144 bytes".to_owned())
        );
    }
}
