use super::*;
use crate::{Arm, Session, SessionOptions, Signal};
use proptest::prelude::*;

fn catalogue(tenant: &str, items: usize) -> Catalogue {
    let line =
        |i| format!("{{\"id\":\"{i}\",\"title\":\"\",\"kind\":\"vod\",\"tags\":[\"t{}\"],\"year\":null}}", i % 4);
    let lines = (0..items).map(line).collect::<Vec<_>>().join("\n");
    Catalogue::parse(tenant.parse().unwrap(), 1, lines.as_bytes()).unwrap()
}

fn parts(catalogue: &Catalogue) -> ModelParts {
    let mut parts = Model::prior(catalogue, 100_000).parts();
    (parts.version, parts.mode) = (3, Mode::Collaborative);
    parts.frame.top = vec![ItemIndex(4), ItemIndex(1)];
    parts.frame.weights_ppm = vec![200_000, 1_000_000];
    for (item, row) in parts.embeddings.iter_mut().enumerate() {
        row.iter_mut().enumerate().for_each(|(dim, value)| *value = ((item * 31 + dim * 7) % 13) as f32 / 13.0 - 0.4);
        parts.quality[item] = (item % 5) as f32 / 10.0 - 0.2;
    }
    let parent = Some(Digest::of(b"parent"));
    let releases = vec!["acme/item-counts/eu-west/node-1/7".to_owned()];
    let rho = Rho::from_picos(88_600_000_000).unwrap();
    parts.provenance = Provenance { parent, releases, rho, epsilon: 2.0, delta: 1e-6, private: true };
    parts
}

fn scores(model: &Model, catalogue: &Catalogue) -> Vec<(ItemIndex, u32, u32)> {
    let options = SessionOptions { arm: Arm::Adaptive, contribute: true, seed: [7; 32], outcomes_max: 40 };
    let mut session = Session::new(options);
    for item in [0, 3, 5] {
        session.observe(model, catalogue, Signal::Like { item: ItemIndex(item) }).unwrap();
    }
    let candidates = (0..20).map(ItemIndex).collect::<Vec<_>>();
    let order = session.rank(model, catalogue, &candidates).unwrap().order;
    order.iter().map(|ranked| (ranked.item, ranked.score.to_bits(), ranked.propensity.to_bits())).collect()
}

#[test]
fn a_reloaded_model_scores_bit_for_bit_the_same() {
    let catalogue = catalogue("acme", 20);
    for parts in [parts(&catalogue), Model::prior(&catalogue, 50_000).parts()] {
        let model = Model::new(parts, &catalogue).unwrap();
        let again = Model::decode(&model.encode(), &catalogue).unwrap();
        assert_eq!(again.parts(), model.parts());
        assert_eq!(again.digest(), model.digest());
        assert_eq!(again.encode(), model.encode());
        assert_eq!(scores(&again, &catalogue), scores(&model, &catalogue));
    }
}

#[test]
fn digest_is_of_the_bytes_and_of_every_part() {
    let catalogue = catalogue("acme", 20);
    let digest = |parts| Model::new(parts, &catalogue).unwrap().digest();
    let model = Model::new(parts(&catalogue), &catalogue).unwrap();
    assert_eq!(model.digest(), Digest::of(&model.encode()));
    type Change = fn(&mut ModelParts);
    let changes: [Change; 11] = [
        |p| p.version += 1,
        |p| p.frame.base_rate_ppm += 1,
        |p| p.mode = Mode::Content,
        |p| p.weights[3] += 0.5,
        |p| p.embeddings[19][31] += 0.5,
        |p| p.quality[0] += 0.1,
        |p| p.popularity[0] += 0.1,
        |p| p.precision += 1.0,
        |p| p.exploration += 1.0,
        |p| p.provenance.private = false,
        |p| p.provenance.parent = None,
    ];
    for change in changes {
        let mut other = parts(&catalogue);
        change(&mut other);
        assert_ne!(digest(other), model.digest());
    }
}

#[test]
fn refuses_each_broken_bound() {
    let catalogue = catalogue("acme", 20);
    type Change = fn(&mut ModelParts);
    let cases: [(Change, ModelError); 16] = [
        (|p| p.tenant = "other".parse().unwrap(), ModelError::OtherCatalogue),
        (|p| p.frame.catalogue = Digest::of(b""), ModelError::OtherCatalogue),
        (|p| p.frame.top[0] = ItemIndex(20), ModelError::Frame(FrameError::Items)),
        (|p| p.embeddings.truncate(19), ModelError::Length),
        (|p| p.quality.push(0.0), ModelError::Length),
        (|p| p.popularity.push(0.0), ModelError::Length),
        (|p| p.weights[0] = f32::NAN, ModelError::Range),
        (|p| p.weights[0] = 101.0, ModelError::Range),
        (|p| p.embeddings[3][1] = f32::INFINITY, ModelError::Range),
        (|p| p.quality[0] = -1.1, ModelError::Range),
        (|p| p.popularity[0] = -0.1, ModelError::Range),
        (|p| p.precision = 0.0, ModelError::Range),
        (|p| p.exploration = -1.0, ModelError::Range),
        (|p| p.provenance.epsilon = f64::NAN, ModelError::Range),
        (|p| p.provenance.delta = 1.0, ModelError::Range),
        (|p| p.provenance.releases = vec!["x".repeat(513)], ModelError::Provenance),
    ];
    for (change, refusal) in cases {
        let mut bad = parts(&catalogue);
        change(&mut bad);
        let bytes = codec::encode(&bad);
        assert_eq!(Model::new(bad, &catalogue).err(), Some(refusal));
        assert!(Model::decode(&bytes, &catalogue).is_err());
    }
}

#[test]
fn refuses_other_catalogues_and_forms() {
    let (own, other) = (catalogue("acme", 20), catalogue("rival", 20));
    let bytes = Model::new(parts(&own), &own).unwrap().encode();
    assert_eq!(Model::decode(&bytes, &other).err(), Some(ModelError::OtherCatalogue));
    assert_eq!(Model::decode(&bytes, &catalogue("acme", 21)).err(), Some(ModelError::Form));
    assert_eq!(Model::decode(&[&bytes[..], &[0]].concat(), &own).err(), Some(ModelError::Form));
    assert_eq!(Model::decode(&[], &own).err(), Some(ModelError::Form));
    // Version 3 written with one byte more than it needs: the same model in another form.
    let place = bytes.windows(5).position(|window| window == b"acme\x03").unwrap() + 4;
    let longer = [&bytes[..place], &[0x18, 0x03], &bytes[place + 1..]].concat();
    assert_eq!(Model::decode(&longer, &own).err(), Some(ModelError::Form));
    assert_eq!(Model::decode(&vec![0; MODEL_BYTES_MAX + 1], &own).err(), Some(ModelError::TooLong));
}

proptest! {
    #[test]
    fn a_changed_byte_is_refused_or_is_another_model(place in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let catalogue = catalogue("acme", 20);
        let model = Model::new(parts(&catalogue), &catalogue).unwrap();
        let mut bytes = model.encode();
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        if let Ok(other) = Model::decode(&bytes, &catalogue) {
            prop_assert_ne!(other.digest(), model.digest());
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn a_shortened_model_is_refused(place in any::<prop::sample::Index>()) {
        let catalogue = catalogue("acme", 20);
        let bytes = Model::new(parts(&catalogue), &catalogue).unwrap().encode();
        let end = place.index(bytes.len());
        prop_assert_eq!(Model::decode(&bytes[..end], &catalogue).err(), Some(ModelError::Form));
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Model::decode(&bytes, &catalogue("acme", 2)).is_err());
    }
}
