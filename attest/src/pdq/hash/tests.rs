use super::*;
use proptest::prelude::*;

/// A picture that every program can draw: no file is needed to compare.
fn drawn(width: usize, height: usize, k: usize) -> Vec<f32> {
    let mut luminance = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let channel = |value: usize| f32::from(u8::try_from(value % 256).unwrap());
        let (r, g, b) = (channel(x * 3 + y * k), channel(x * x / (k + 1) + y * 5), channel((x / 7) ^ ((y / 5) * k)));
        luminance.push(0.299 * r + 0.587 * g + 0.114 * b);
    }
    luminance
}

/// What the Python package `pdqhash` 0.2.8, which wraps the authors' own C++, says of the same pictures.
const KNOWN: [(usize, usize, usize, &str); 5] = [
    (64, 64, 1, "16fffd24492a35efa40002feaff5d05407fffc00c03f8ff09e009c7f31e06780"),
    (300, 200, 3, "f44154a141703eadebfdbfffea6acbff9e700000157fcac49f85402a9f84402a"),
    (97, 131, 7, "c3fe0fd01e3438af1e1738ff71f0c7815b1ecf8c5b1d9638a4e0d724a4e0d700"),
    (640, 480, 2, "49136aa8c1927f9fc1136feac1117fefc51094432bbb850c3bad936c3e92856d"),
    (5, 200, 4, "94a564d92b4ad4b593a493a46b5a6b5ab4ad649d6c5b9b2696259b266b5a394a"),
];

#[test]
fn known_answers() {
    for (width, height, k, text) in KNOWN {
        let hashed = PdqHash::of(drawn(width, height, k), width, height).unwrap();
        assert_eq!((hashed.hash.to_string(), hashed.quality), (text.to_owned(), 100));
    }
}

#[test]
fn what_is_no_picture_has_no_hash() {
    for (count, width, height) in [(0, 0, 0), (16, 4, 4), (20, 4, 5), (24, 5, 5), (26, 5, 5), (1, usize::MAX, 2)] {
        assert_eq!(PdqHash::of(vec![1.0; count], width, height), None);
    }
    let flat = PdqHash::of(vec![7.0; 25], 5, 5).unwrap();
    assert_eq!(flat.quality, 0, "nothing varies");
}

/// Twice the size, brighter and with less contrast: the same picture.
#[test]
fn small_edits_change_few_bits() {
    let waves = |scale: usize, gain: f32, lift: f32| -> PdqHash {
        let (width, height) = (160 * scale, 120 * scale);
        let pixel = |i: usize| {
            let at = |place: usize| count(place) / count(scale);
            let (x, y) = (at(i % width), at(i / width));
            128.0 + gain * ((x / 9.0).sin() * 40.0 + (y / 13.0 + x / 31.0).cos() * 50.0) + lift
        };
        PdqHash::of((0..width * height).map(pixel).collect(), width, height).unwrap().hash
    };
    let original = waves(1, 1.0, 0.0);
    assert!(original.distance(&waves(2, 1.0, 0.0)) <= 16);
    assert!(original.distance(&waves(1, 0.7, 12.0)) <= 8);
    let other = PdqHash::of(drawn(160, 120, 3), 160, 120).unwrap().hash;
    assert!(original.distance(&other) > 64);
}

#[test]
fn text_is_read_strictly() {
    let good = KNOWN[0].3;
    assert_eq!(good.parse::<PdqHash>().unwrap().to_string(), good);
    for bad in [&good[1..], &format!("{good}0"), &good.replace('1', "g"), &good.replacen('1', "+", 1), ""] {
        assert_eq!(bad.parse::<PdqHash>(), Err(PdqHashError));
    }
}

proptest! {
    #[test]
    fn distance_counts_bits(a: [u64; 4], b: [u64; 4]) {
        let (a, b) = (PdqHash::from_words(a), PdqHash::from_words(b));
        let texts = (a.to_string(), b.to_string());
        let by_text = texts.0.bytes().zip(texts.1.bytes());
        let digit = |byte: u8| (byte as char).to_digit(16).unwrap();
        let expected: u32 = by_text.map(|(a, b)| (digit(a) ^ digit(b)).count_ones()).sum();
        prop_assert_eq!(u32::from(a.distance(&b)), expected);
        prop_assert_eq!(a.to_string().parse(), Ok(a));
    }

    #[test]
    fn hostile_bytes(data: Vec<u8>) {
        crate::pdq::fuzz::hash_text(&data);
        crate::pdq::fuzz::picture(&data);
    }
}
