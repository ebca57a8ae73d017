use hex_literal::hex;
use proptest::prelude::*;

use super::*;

#[test]
fn it_reads_the_examples_of_the_rfc() {
    // RFC 8949, appendix A.
    let integers: [(&[u8], i128); 5] = [
        (&hex!("00"), 0),
        (&hex!("1903e8"), 1000),
        (&hex!("1bffffffffffffffff"), 18_446_744_073_709_551_615),
        (&hex!("3bffffffffffffffff"), -18_446_744_073_709_551_616),
        (&hex!("3903e7"), -1000),
    ];
    for (bytes, integer) in integers {
        assert_eq!(read(bytes), Ok(Value::Integer(integer)));
    }
    assert_eq!(read(&hex!("4401020304")), Ok(Value::Bytes(&[1, 2, 3, 4])));
    assert_eq!(read(&hex!("6449455446")), Ok(Value::Text("IETF")));
    assert_eq!(read(&hex!("f5")), Ok(Value::Bool(true)));
    assert_eq!(read(&hex!("f6")), Ok(Value::Null));
    let tagged = Value::Tag(1, Box::new(Value::Integer(1_363_896_240)));
    assert_eq!(read(&hex!("c11a514b67b0")), Ok(tagged));
    let nested = Value::Array(vec![
        Value::Integer(1),
        Value::Array(vec![Value::Integer(2), Value::Integer(3)]),
        Value::Array(vec![Value::Integer(4), Value::Integer(5)]),
    ]);
    for bytes in [&hex!("8301820203820405") as &[u8], &hex!("9f01820203820405ff"), &hex!("83018202039f0405ff")] {
        assert_eq!(read(bytes), Ok(nested.clone()));
    }
    for bytes in [&hex!("a26161016162820203") as &[u8], &hex!("bf61610161629f0203ffff")] {
        let value = read(bytes).unwrap();
        let map = value.map().unwrap();
        assert_eq!((map.len(), map.at("a").unwrap().integer()), (2, Some(1)));
        assert_eq!(map.at("b").unwrap().array().unwrap().len(), 2);
        assert_eq!(map.at("c"), None);
    }
    assert_eq!(read_prefix(&hex!("0102")), Ok((Value::Integer(1), &[2_u8] as &[u8])));
}

#[test]
fn what_is_not_used_here_is_refused() {
    let refused: [(&[u8], CborError); 16] = [
        (&[], CborError::Malformed),
        (&hex!("18"), CborError::Malformed),
        (&hex!("4401"), CborError::Malformed),
        (&hex!("61ff"), CborError::Malformed),
        (&hex!("f93c00"), CborError::Malformed),
        (&hex!("f7"), CborError::Malformed),
        (&hex!("ff"), CborError::Malformed),
        (&hex!("8201"), CborError::Malformed),
        (&hex!("9f01"), CborError::Malformed),
        (&hex!("5f42010243030405ff"), CborError::Malformed),
        (&hex!("a14101f6"), CborError::Malformed),
        (&hex!("a201010102"), CborError::Duplicate),
        // The same key in a longer form.
        (&hex!("a20101180102"), CborError::Duplicate),
        (&hex!("0000"), CborError::Trailing),
        // A length that promises four thousand million values.
        (&hex!("9affffffff"), CborError::Malformed),
        (&hex!("bf01ff"), CborError::Malformed),
    ];
    for (bytes, error) in refused {
        assert_eq!(read(bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn bounds_hold_at_their_edges() {
    let mut long = vec![0x5a, 0, 0, 0, 0];
    long.resize(BYTES_MAX, 7);
    long[1..5].copy_from_slice(&u32::try_from(BYTES_MAX - 5).unwrap().to_be_bytes());
    assert_eq!(read(&long).unwrap().bytes().map(<[u8]>::len), Some(BYTES_MAX - 5));
    long.push(7);
    assert_eq!(read(&long), Err(CborError::TooLong));
    let deep = |depth: usize| [vec![0x81; depth], vec![0]].concat();
    assert_eq!(read(&deep(DEPTH_MAX)).map(|_| ()), Ok(()));
    assert_eq!(read(&deep(DEPTH_MAX + 1)), Err(CborError::TooMany));
    let many = |count: usize| [vec![0x9f], vec![0; count], vec![0xff]].concat();
    assert_eq!(read(&many(VALUES_MAX - 1)).unwrap().array().map(<[_]>::len), Some(VALUES_MAX - 1));
    assert_eq!(read(&many(VALUES_MAX)), Err(CborError::TooMany));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok((_, rest)) = read_prefix(&bytes) {
            prop_assert_eq!(read(&bytes).is_ok(), rest.is_empty());
            prop_assert!(bytes.ends_with(rest));
        }
    }

    #[test]
    fn what_is_cut_short_is_refused(texts in prop::collection::btree_map("[a-z]{1,8}", any::<i64>(), 1..20)) {
        let bytes = minicbor::to_vec(&texts).unwrap();
        let value = read(&bytes).unwrap();
        let map = value.map().unwrap();
        prop_assert_eq!(map.iter().count(), texts.len());
        for (name, integer) in &texts {
            prop_assert_eq!(map.at(name.as_str()).and_then(Value::integer), Some(i128::from(*integer)));
        }
        for end in 0..bytes.len() {
            prop_assert_eq!(read(&bytes[..end]), Err(CborError::Malformed));
        }
    }
}
