use super::*;
use crate::model::{Mode, ModelParts};
use proptest::prelude::*;

const ITEMS: u32 = 60;

fn catalogue(marker: &str) -> Catalogue {
    let line = |i: u32| {
        let tags = ["drama", "war", "comedy"][i as usize % 3];
        format!(
            "{{\"id\":\"{marker}{i}\",\"title\":\"\",\"kind\":\"vod\",\"tags\":[\"{tags}\"],\"year\":{}}}",
            1960 + i
        )
    };
    let lines = (0..ITEMS).map(line).collect::<Vec<_>>().join("\n");
    Catalogue::parse("acme".parse().unwrap(), 1, lines.as_bytes()).unwrap()
}

/// A model with embeddings of its own for every version.
fn model(catalogue: &Catalogue, version: u64) -> Model {
    let mut parts = Model::prior(catalogue, 100_000).parts();
    (parts.version, parts.mode) = (version, Mode::Collaborative);
    let shift = usize::try_from(version).unwrap() * 5;
    for (item, row) in parts.embeddings.iter_mut().enumerate() {
        row.iter_mut().enumerate().for_each(|(dim, value)| {
            *value = ((item * 37 + dim * 11 + shift) % 17) as f32 / 17.0 - 0.5;
        });
        parts.quality[item] = (item % 7) as f32 / 20.0;
        parts.popularity[item] = (item % 5) as f32 / 5.0;
    }
    Model::new(parts, catalogue).unwrap()
}

fn greedy(catalogue: &Catalogue) -> Model {
    let parts = ModelParts { exploration: 1e9, ..Model::prior(catalogue, 100_000).parts() };
    Model::new(parts, catalogue).unwrap()
}

fn session(arm: Arm, seed: u8) -> Session {
    Session::new(SessionOptions { arm, contribute: true, seed: [seed; 32], outcomes_max: 40 })
}

fn items(range: std::ops::Range<u32>) -> Vec<ItemIndex> {
    range.map(ItemIndex).collect()
}

fn like(item: u32) -> Signal {
    Signal::Like { item: ItemIndex(item) }
}

fn skip(item: u32) -> Signal {
    Signal::Skip { item: ItemIndex(item) }
}

fn sorted_scores(session: &mut Session, model: &Model, catalogue: &Catalogue) -> Vec<(ItemIndex, u32)> {
    let order = session.rank(model, catalogue, &items(0..ITEMS)).unwrap().order;
    let mut scores = order.iter().map(|ranked| (ranked.item, ranked.score.to_bits())).collect::<Vec<_>>();
    scores.sort_unstable();
    scores
}

#[test]
fn a_full_session_fits_into_its_bound() {
    let catalogue = catalogue("i");
    let model = model(&catalogue, 1);
    let mut session = Session::new(SessionOptions { outcomes_max: u32::MAX, ..session(Arm::Adaptive, 1).options });
    for item in 0..ITEMS {
        session.observe(&model, &catalogue, like(item)).unwrap();
        assert!(session.footprint() <= SESSION_BYTES_MAX, "{} bytes", session.footprint());
    }
    assert_eq!(session.end().unwrap().outcomes.len(), OUTCOMES_MAX as usize);
}

#[test]
fn a_ranking_knows_the_last_signal() {
    let catalogue = catalogue("i");
    let model = greedy(&catalogue);
    let mut session = session(Arm::Adaptive, 1);
    let first_is_drama = |session: &mut Session| {
        let order = session.rank(&model, &catalogue, &items(0..30)).unwrap().order;
        order.iter().take(10).filter(|ranked| ranked.item.0 % 3 == 0).count()
    };
    for item in [30, 33, 36] {
        session.observe(&model, &catalogue, like(item)).unwrap();
    }
    assert_eq!(first_is_drama(&mut session), 10);
    for item in 0..20 {
        session.observe(&model, &catalogue, skip(33 + 3 * (item % 9))).unwrap();
    }
    session.observe(&model, &catalogue, like(31)).unwrap();
    session.observe(&model, &catalogue, like(34)).unwrap();
    session.observe(&model, &catalogue, like(37)).unwrap();
    assert_eq!(first_is_drama(&mut session), 0);
}

#[test]
fn a_refusal_of_personalization_ranks_by_the_global_model_alone() {
    let catalogue = catalogue("i");
    let model = model(&catalogue, 1);
    let (mut fresh, mut used) = (session(Arm::Global, 1), session(Arm::Global, 1));
    for item in 0..10 {
        used.observe(&model, &catalogue, like(item)).unwrap();
    }
    assert_eq!(sorted_scores(&mut fresh, &model, &catalogue), sorted_scores(&mut used, &model, &catalogue));
    let features = used.end().unwrap().outcomes[9].features;
    assert_eq!([3, 4, 5, 6, 7, 8, 10, 11].map(|place| features[place]), [0.0; 8]);
}

#[test]
fn one_outcome_an_item_and_the_largest_reward() {
    let catalogue = catalogue("i");
    let model = model(&catalogue, 1);
    let watch = |dwell_ms, duration_ms| Signal::Watch { item: ItemIndex(4), dwell_ms, duration_ms };
    let mut session = session(Arm::Adaptive, 1);
    for signal in [skip(4), watch(1, 4), watch(9, 3), skip(4), skip(5), watch(0, 1)] {
        session.observe(&model, &catalogue, signal).unwrap();
    }
    let (mut once, before) = (self::session(Arm::Adaptive, 1), sorted_scores(&mut session, &model, &catalogue));
    for signal in [like(4), skip(5)] {
        once.observe(&model, &catalogue, signal).unwrap();
    }
    assert_eq!(before, sorted_scores(&mut once, &model, &catalogue));
    let rewards = session.end().unwrap().outcomes.iter().map(|o| (o.item.0, o.reward)).collect::<Vec<_>>();
    assert_eq!(rewards, [(4, 1.0), (5, 0.0)]);
}

#[test]
fn ends_once_and_refuses_every_later_call() {
    let catalogue = catalogue("i");
    let model = model(&catalogue, 1);
    let mut session = session(Arm::Adaptive, 1);
    session.observe(&model, &catalogue, like(1)).unwrap();
    let kpi = PerceptualKpi { startup_ms: 1, rebuffer_ms: 2, watched_ms: 3 };
    session.observe(&model, &catalogue, Signal::Kpi(kpi)).unwrap();
    let record = session.end().unwrap();
    assert_eq!((record.arm, record.catalogue, record.kpi), (Arm::Adaptive, Some(catalogue.digest()), kpi));
    assert!(session.end().is_none());
    assert_eq!(session.observe(&model, &catalogue, like(2)), Err(SessionError::Ended));
    assert_eq!(session.rank(&model, &catalogue, &items(0..3)), Err(SessionError::Ended));
    let options = SessionOptions { contribute: false, ..self::session(Arm::Adaptive, 1).options };
    let mut refused = Session::new(options);
    refused.observe(&model, &catalogue, like(1)).unwrap();
    assert!(refused.end().is_none());
}

#[test]
fn refuses_what_it_cannot_rank() {
    let catalogue = catalogue("i");
    let model = model(&catalogue, 1);
    let mut session = session(Arm::Adaptive, 1);
    let mut rank = |candidates: &[u32]| {
        let candidates = candidates.iter().copied().map(ItemIndex).collect::<Vec<_>>();
        session.rank(&model, &catalogue, &candidates).map(|_| ())
    };
    assert_eq!(rank(&[]), Err(SessionError::Candidates));
    assert_eq!(rank(&[0; CANDIDATES_MAX + 1]), Err(SessionError::Candidates));
    assert_eq!(rank(&[3, 1, 3]), Err(SessionError::DuplicateCandidate));
    assert_eq!(rank(&[3, ITEMS]), Err(SessionError::UnknownItem));
    assert_eq!(rank(&[3]), Ok(()));
    assert_eq!(session.observe(&model, &catalogue, like(ITEMS)), Err(SessionError::UnknownItem));
    let endless = Signal::Watch { item: ItemIndex(0), dwell_ms: 1, duration_ms: 0 };
    assert_eq!(session.observe(&model, &catalogue, endless), Err(SessionError::Duration));
    let other = self::catalogue("j");
    assert_eq!(session.observe(&model, &other, like(1)), Err(SessionError::OtherCatalogue));
    assert_eq!(session.rank(&model, &other, &items(0..2)), Err(SessionError::OtherCatalogue));
}

#[test]
fn another_catalogue_begins_the_session_anew() {
    let (old, new) = (catalogue("i"), catalogue("j"));
    let (old_model, new_model) = (model(&old, 1), model(&new, 2));
    let mut session = session(Arm::Adaptive, 1);
    session.observe(&old_model, &old, like(1)).unwrap();
    session.observe(&new_model, &new, like(2)).unwrap();
    let record = session.end().unwrap();
    assert_eq!((record.catalogue, record.outcomes.len()), (Some(new.digest()), 1));
}

#[test]
fn a_uniform_arm_shows_every_item_first_alike() {
    let catalogue = catalogue("i");
    let model = model(&catalogue, 1);
    let mut session = session(Arm::Uniform, 9);
    let mut first = [0u32; 10];
    for _ in 0..10_000 {
        let order = session.rank(&model, &catalogue, &items(0..10)).unwrap().order;
        assert!(order.iter().all(|ranked| ranked.propensity == 0.1));
        first[order[0].item.offset()] += 1;
    }
    // Six standard deviations of a binomial (10,000, 1/10) are 180.
    assert!(first.iter().all(|count| count.abs_diff(1000) < 180), "{first:?}");
}

proptest! {
    /// Propensities are a distribution; the order is by score but for the first; the drawn share fits.
    #[test]
    fn propensities_are_a_distribution(seed in any::<u8>(), liked in 0..ITEMS, count in 1..ITEMS) {
        let catalogue = catalogue("i");
        let model = model(&catalogue, 1);
        let mut session = session(Arm::Adaptive, seed);
        session.observe(&model, &catalogue, like(liked)).unwrap();
        let order = session.rank(&model, &catalogue, &items(0..count)).unwrap().order;
        let sum = order.iter().map(|ranked| ranked.propensity).sum::<f32>();
        prop_assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        prop_assert!(order.iter().all(|ranked| (0.0..=1.0).contains(&ranked.propensity)));
        prop_assert!(order[1..].windows(2).all(|pair| pair[0].score >= pair[1].score));
        let mut seen = order.iter().map(|ranked| ranked.item).collect::<Vec<_>>();
        seen.sort_unstable();
        prop_assert_eq!(seen, items(0..count));
    }

    /// A session that saw its signals under older models ranks as one that saw them all under the newest.
    #[test]
    fn a_new_model_learns_the_session_again(signals in proptest::collection::vec((0..ITEMS, any::<bool>()), 1..40)) {
        let catalogue = catalogue("i");
        let models = [model(&catalogue, 1), model(&catalogue, 2), model(&catalogue, 3)];
        let (mut swapped, mut straight) = (session(Arm::Adaptive, 3), session(Arm::Adaptive, 3));
        for (place, (item, liked)) in signals.iter().enumerate() {
            let signal = if *liked { like(*item) } else { skip(*item) };
            swapped.observe(&models[place * 3 / signals.len()], &catalogue, signal).unwrap();
            straight.observe(&models[2], &catalogue, signal).unwrap();
        }
        let scores = |session: &mut Session| sorted_scores(session, &models[2], &catalogue);
        prop_assert_eq!(scores(&mut swapped), scores(&mut straight));
    }

    /// What a session contributes is within the bounds that the encodings rely on.
    #[test]
    fn records_are_bounded(signals in proptest::collection::vec((0..ITEMS, any::<u32>(), 1..u32::MAX), 0..90)) {
        let catalogue = catalogue("i");
        let model = model(&catalogue, 1);
        let mut session = session(Arm::Adaptive, 3);
        for (item, dwell_ms, duration_ms) in signals {
            session.observe(&model, &catalogue, Signal::Watch { item: ItemIndex(item), dwell_ms, duration_ms }).unwrap();
        }
        let record = session.end().unwrap();
        prop_assert!(record.outcomes.len() <= 40);
        for outcome in record.outcomes {
            prop_assert!((0.0..=1.0).contains(&outcome.reward));
            prop_assert!(outcome.features.iter().all(|x| (-BOUND..=BOUND).contains(x)));
            prop_assert_eq!(outcome.features[0], 1.0);
        }
    }
}
