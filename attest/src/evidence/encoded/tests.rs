use proptest::prelude::*;

use super::*;

fn read<const MAX: usize>(text: &str) -> Result<Vec<u8>, String> {
    let json = serde_json::to_string(text).unwrap();
    serde_json::from_str::<Encoded<MAX>>(&json).map(|encoded| encoded.0).map_err(|error| error.to_string())
}

#[test]
fn bytes_are_bounded_before_and_after_they_are_decoded() {
    assert_eq!(read::<3>(""), Ok(vec![]));
    assert_eq!(read::<3>("AQID"), Ok(vec![1, 2, 3]));
    assert_eq!(read::<2>("AQI"), Ok(vec![1, 2]));
    let refused = |result: Result<Vec<u8>, String>, reason: &str| {
        assert!(result.as_ref().is_err_and(|error| error.starts_with(reason)), "{result:?}");
    };
    refused(read::<2>("AQID"), "the bytes are too many");
    refused(read::<3>("AQIDBA"), "the bytes are too many");
    refused(read::<3>(&"A".repeat(100_000)), "the bytes are too many");
    for text in ["AQ==", "A", "AQ/+", "AR", "\u{e9}"] {
        refused(read::<3>(text), "this is not base64url");
    }
}

#[test]
fn its_bytes_are_not_shown() {
    assert_eq!(format!("{:?}", Encoded::<8>::from(vec![1, 2, 3])), "3 bytes");
    assert_eq!(serde_json::to_string(&Encoded::<8>(vec![251, 255])).unwrap(), "\"-_8\"");
}

proptest! {
    #[test]
    fn what_is_written_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let text = serde_json::to_string(&Encoded::<64>(bytes.clone())).unwrap();
        prop_assert_eq!(serde_json::from_str::<Encoded<64>>(&text).unwrap().0, bytes);
    }
}
