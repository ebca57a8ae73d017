//! A made-up audience and catalogue, for trying Siwa without anybody's data.
//!
//! Items carry tags and have an appeal of their own, few of them much of it. A viewer likes two of the tags, dislikes
//! one, and shares hidden tastes with a cluster of viewers that no tag tells: appeal is learned from counts, what tags
//! explain by a session's own posterior, and what clusters explain only by co-engagement.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use serde_json::json;

use super::{Audience, Decision, Visit};

const TAGS: [&str; 12] = [
    "football", "esports", "cooking", "music", "news", "comedy", "travel", "science", "crafts", "fitness", "film",
    "nature",
];
const CLUSTERS: u64 = 6;
/// Probability, in millionths, that anything at all is liked.
const BASE_PPM: u64 = 20_000;
/// What the item's appeal adds at most, in millionths. Appeal is the square of a uniform number: half the items have
/// less than a quarter of it.
const APPEAL_PPM: u64 = 400_000;
/// What each liked tag adds, in millionths, and a disliked one takes.
const TAG_PPM: u64 = 200_000;
/// What the cluster's hidden taste adds, in millionths.
const CLUSTER_PPM: u64 = 250_000;

/// How large the audience is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Synthetic {
    pub(crate) items: u64,
    pub(crate) visits: usize,
    pub(crate) decisions_per_visit: usize,
    pub(crate) candidates_per_decision: usize,
    pub(crate) seed: u64,
}

struct Clip {
    /// Added to the probability of a like, in millionths.
    appeal_ppm: u64,
    tags: [u64; 2],
    cluster: u64,
}

impl Synthetic {
    /// The catalogue as JSON lines, and the audience over it. The same sizes and seed give the same bytes.
    pub(crate) fn generate(self) -> (String, Audience) {
        let mut random = ChaCha20Rng::seed_from_u64(self.seed);
        let clips: Vec<Clip> = (0..self.items).map(|_| clip(&mut random)).collect();
        let items: Vec<String> = (0..self.items).map(|number| format!("clip-{number}")).collect();
        let line = |(id, clip): (&String, &Clip)| {
            let tags: Vec<&str> = clip.tags.iter().map(|tag| tag_name(*tag)).collect();
            json!({"id": id, "title": format!("Synthetic {id}"), "kind": "clip", "tags": tags, "year": 2026})
                .to_string()
        };
        let catalogue = items.iter().zip(&clips).map(line).collect::<Vec<_>>().join("\n");
        let visits = (0..self.visits).map(|number| self.visit(number, &clips, &mut random)).collect();
        (catalogue, Audience { items, visits })
    }

    fn visit(self, number: usize, clips: &[Clip], random: &mut ChaCha20Rng) -> Visit {
        let tags = TAGS.len() as u64;
        let likes = [below(random, tags), below(random, tags)];
        let dislikes = below(random, tags);
        let cluster = below(random, CLUSTERS);
        let decision = |_| {
            let mut candidates: Vec<u32> = Vec::with_capacity(self.candidates_per_decision);
            while candidates.len() < self.candidates_per_decision.min(clips.len()) {
                let item = u32::try_from(below(random, self.items)).unwrap_or(u32::MAX);
                if !candidates.contains(&item) {
                    candidates.push(item);
                }
            }
            let mut liked = candidates.clone();
            liked.retain(|item| {
                let clip = &clips[*item as usize];
                let count = |wanted: &[u64]| clip.tags.iter().filter(|tag| wanted.contains(tag)).count() as u64;
                let hidden = if clip.cluster == cluster { CLUSTER_PPM } else { 0 };
                let up = BASE_PPM + clip.appeal_ppm + TAG_PPM * count(&likes) + hidden;
                below(random, 1_000_000) < up.saturating_sub(TAG_PPM * count(&[dislikes]))
            });
            Decision { candidates: candidates.into(), liked: liked.into() }
        };
        Visit { viewer: format!("viewer-{number}"), decisions: (0..self.decisions_per_visit).map(decision).collect() }
    }
}

fn clip(random: &mut ChaCha20Rng) -> Clip {
    let tags = TAGS.len() as u64;
    let first = below(random, tags);
    let appeal = below(random, 1001);
    let appeal_ppm = APPEAL_PPM * appeal * appeal / 1_000_000;
    Clip { appeal_ppm, tags: [first, (first + 1 + below(random, tags - 1)) % tags], cluster: below(random, CLUSTERS) }
}

fn tag_name(tag: u64) -> &'static str {
    TAGS.iter().zip(0..).find(|(_, number)| *number == tag).map_or("other", |(name, _)| name)
}

/// A number below `bound`. The modulo's bias, below 2⁻⁴⁰ here, is of no matter for a made-up audience.
fn below(random: &mut ChaCha20Rng, bound: u64) -> u64 {
    random.next_u64() % bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_for_a_seed_and_likes_some() {
        let sizes = Synthetic { items: 60, visits: 200, decisions_per_visit: 4, candidates_per_decision: 10, seed: 1 };
        let (catalogue, audience) = sizes.generate();
        assert_eq!(catalogue, sizes.generate().0);
        assert_eq!(audience.visits, sizes.generate().1.visits);
        assert_ne!(audience.visits, Synthetic { seed: 2, ..sizes }.generate().1.visits);
        let decisions = || audience.visits.iter().flat_map(|visit| &visit.decisions);
        assert!(
            decisions().all(|d| d.candidates.len() == 10 && d.liked.iter().all(|item| d.candidates.contains(item)))
        );
        let liked: usize = decisions().map(|d| d.liked.len()).sum();
        assert!((800..2400).contains(&liked), "{liked} of 8000 liked");
    }
}
