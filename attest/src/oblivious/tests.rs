use super::client::first_usable;
use super::*;
use proptest::prelude::*;
use rand_core::{OsRng, TryRngCore as _};

/// RFC 9180 Appendix A.1.1: `ikmR` and `pkRm`.
const RFC_SECRET: &str = "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037";
const RFC_PUBLIC: &str = "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d";
/// RFC 9458 Appendix A: a configuration with AES-128-GCM and ChaCha20-Poly1305.
const RFC_CONFIG: &str = "01002031e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e79815500080001000100010003";
/// RFC 9458 Appendix A: its binary request, `GET https://example.com/`.
const RFC_REQUEST: &str = "00034745540568747470730b6578616d706c652e636f6d012f";
/// Made with PyPI `pyhpke` 0.6.5 for the key of `RFC_SECRET`: known length, padded by 100 zeros.
const PYHPKE_KNOWN_LENGTH: &str = concat!(
    "010020000100010734cf8e6989653bf4bc1c54e18f8000a27eb9bb126ec3946965510be71d5c627ae129729053a87363968d",
    "1132813d2b44cc168e04a6c2e2935bdb56660700db8c7333266bb604d6327bcb516dff8b0ad85bd3596e1bc7d930a225333b",
    "52bc0fad4af4b683d41dcf5a483c22394df4e129b64a34a7fd7688644f4d8e3f0148bc5e3b6e3a5c396483ec6c7d678ae8c7",
    "f6f0efe7a2297409693a070c89f899926f58bb7005bd5c33f42d9254e66dd1a8569a0945b5b8600f5ac1ebe61106ec3e3368",
    "f1213cf40ff930bd6b0cab6ea42b7dc49d04222322828ae469cd0cb236bc7df62492f1d10c0bab7ca86e32ef6c5269c64098",
    "49036aabdcc9a1706967bcefbf85e8",
);
/// Likewise, of indeterminate length in two chunks.
const PYHPKE_INDETERMINATE_LENGTH: &str = concat!(
    "01002000010001bf60e866a42d5e1430c47583af6029c1f202024364c53cd7f7b32436041f7435d83bb41700eb72691100df",
    "e06b2c8b5d11872c3c9f46a314c3f6b2a482c72c02f8239b1158f901cec2be20b43fd3fb14712e42fb27e165ff27ee51edc2",
    "6d0b59c48c0caafd4000450c1647d7bf206fb9289ce006bac085ee21e79f696b37ff4d8a954ebac47ce92885a5e830593a24",
    "cb128b42d13d73704db3a752318b15bb71c48e9671df20a46f4a7226ad138536c2c76c49f802c0c5778f50ed360771f0773b",
    "e87e728249bf05d4c26c8d7115cce3cfe6c3715869f07cd5156bcf97fbda392b01afa726788a18534f33790068e7ace4d8e7",
    "13bc357d0e270203e69a9d74feb7733981",
);

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn key(id: u8, byte: u8) -> GatewayKey {
    GatewayKey::from_secret_bytes(&[&[1, id], [byte; 32].as_slice()].concat()).unwrap()
}

fn gateway() -> Gateway {
    Gateway::new(vec![key(1, 7)]).unwrap()
}

fn fields(fields: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn request(headers: &[(&str, &str)]) -> InnerRequest {
    let (method, path) = ("POST".to_owned(), "/v1/rank?k=10".to_owned());
    InnerRequest { method, path, headers: fields(headers), body: b"hello".to_vec() }
}

fn refused<T>(result: Result<T, ObliviousError>) -> Option<ObliviousError> {
    result.err()
}

/// What a gateway says of a request with these bytes in its capsule.
fn opened(binary: &[u8]) -> Result<InnerRequest, ObliviousError> {
    let config = first_usable(gateway().configs()).unwrap();
    let sender = ohttp::ClientRequest::from_encoded_config(&config).unwrap();
    gateway().decapsulate(&sender.encapsulate(binary).unwrap().0).map(|(request, _)| request)
}

/// A request of known length from its parts.
fn raw(method: &[u8], scheme: &[u8], authority: &[u8], path: &[u8], headers: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut message = bhttp::Message::request(method.to_vec(), scheme.to_vec(), authority.to_vec(), path.to_vec());
    for (name, value) in headers {
        message.put_header(*name, *value);
    }
    let mut bytes = Vec::new();
    message.write_bhttp(bhttp::Mode::KnownLength, &mut bytes).unwrap();
    bytes
}

#[test]
fn request_and_response_round_trip() {
    let gateway = gateway();
    let sent = request(&[("authorization", "PrivateToken token=abc"), ("accept", "application/json")]);
    let (message, context) = ClientContext::encapsulate(gateway.configs(), &sent, "region.example").unwrap();
    assert_eq!(message.len(), 1024);
    let (received, responder) = gateway.decapsulate(&message).unwrap();
    assert!(received == sent);
    let message = responder.encapsulate(404, &[("content-type", b"text/plain")], b"no").unwrap();
    assert_eq!(message.len(), 1024);
    let response = context.decapsulate(&message).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (404, &b"no"[..]));
    assert_eq!(response.headers, fields(&[("content-type", "text/plain")]));
}

#[test]
fn known_answers() {
    let key = GatewayKey::from_secret_bytes(&hex(&format!("0101{RFC_SECRET}"))).unwrap();
    assert_eq!(key.config(), hex(&format!("010020{RFC_PUBLIC}000400010001")));
    let gateway = Gateway::new(vec![key]).unwrap();
    assert_eq!(gateway.configs(), hex(&format!("0029010020{RFC_PUBLIC}000400010001")));
    for message in [PYHPKE_KNOWN_LENGTH, PYHPKE_INDETERMINATE_LENGTH] {
        let (received, _) = gateway.decapsulate(&hex(message)).unwrap();
        assert!(received == request(&[("accept", "application/json")]));
    }
}

/// The appendix gives a private key, which the crate does not take: its capsule cannot be opened here, its parts are
/// read.
#[test]
fn rfc_9458_appendix_a() {
    let list = [&[0, 45], hex(RFC_CONFIG).as_slice()].concat();
    let (config, whole) = (first_usable(&list).unwrap(), hex(RFC_CONFIG));
    assert_eq!(config[..35], whole[..35]);
    assert_eq!(config[35..], [0, 4, 0, 1, 0, 1]);
    let read = binary::read_request(&hex(RFC_REQUEST)).unwrap();
    assert_eq!((read.method.as_str(), read.path.as_str(), read.headers.len(), read.body.len()), ("GET", "/", 0, 0));
    assert_eq!(binary::read_response(&hex("0140c8")).unwrap().status, 200);
}

#[test]
fn keys_come_back_from_their_bytes() {
    let key = GatewayKey::generate(9, &mut OsRng.unwrap_err());
    let bytes = key.to_secret_bytes();
    let read = GatewayKey::from_secret_bytes(&bytes).unwrap();
    assert_eq!((read.id(), read.config(), read.to_secret_bytes()), (9, key.config(), bytes.clone()));
    for bad in [&bytes[1..], &[], &[bytes.as_slice(), &[0]].concat(), &[&[2], &bytes[1..]].concat()] {
        assert_eq!(refused(GatewayKey::from_secret_bytes(bad)), Some(ObliviousError::Secret));
    }
}

#[test]
fn the_first_key_is_published_and_all_open() {
    let (old, new) = (Gateway::new(vec![key(1, 1)]).unwrap(), Gateway::new(vec![key(2, 2), key(1, 1)]).unwrap());
    assert_eq!(new.configs(), Gateway::new(vec![key(2, 2)]).unwrap().configs());
    let sent = request(&[]);
    let (by_old, _) = ClientContext::encapsulate(old.configs(), &sent, "").unwrap();
    let (by_new, _) = ClientContext::encapsulate(new.configs(), &sent, "").unwrap();
    assert!(new.decapsulate(&by_old).unwrap().0 == sent);
    assert!(new.decapsulate(&by_new).unwrap().0 == sent);
    assert_eq!(refused(old.decapsulate(&by_new)), Some(ObliviousError::UnknownKey));
    let same_id = Gateway::new(vec![key(1, 2)]).unwrap();
    assert_eq!(refused(same_id.decapsulate(&by_old)), Some(ObliviousError::Refused));
}

#[test]
fn a_gateway_has_keys_of_distinct_ids() {
    let of = |ids: &[u8]| refused(Gateway::new(ids.iter().map(|id| key(*id, *id)).collect()));
    assert_eq!(of(&[1, 2, 3, 4, 5, 6, 7, 8]), None);
    for bad in [&[][..], &[1, 1], &[1, 2, 1], &[1, 2, 3, 4, 5, 6, 7, 8, 9]] {
        assert_eq!(of(bad), Some(ObliviousError::Keys), "{bad:?}");
    }
}

#[test]
fn every_bit_of_a_request_counts() {
    let gateway = gateway();
    let (message, _) = ClientContext::encapsulate(gateway.configs(), &request(&[]), "").unwrap();
    for bit in 0..message.len() * 8 {
        // All of header, encapsulated key and tag; every 13th of the ciphertext.
        if (60 * 8..1008 * 8).contains(&bit) && bit % 13 != 0 {
            continue;
        }
        let mut changed = message.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0 => ObliviousError::UnknownKey,
            1..7 => ObliviousError::Suite,
            _ => ObliviousError::Refused,
        };
        assert_eq!(refused(gateway.decapsulate(&changed)), Some(expected), "bit {bit}");
    }
}

#[test]
fn other_lengths_of_a_request_are_refused() {
    let gateway = gateway();
    let (message, _) = ClientContext::encapsulate(gateway.configs(), &request(&[]), "").unwrap();
    for length in (0..REQUEST_OVERHEAD_BYTES + 3).chain([512, 1023]) {
        let short = length < REQUEST_OVERHEAD_BYTES;
        let expected = if short { ObliviousError::TooShort } else { ObliviousError::Refused };
        assert_eq!(refused(gateway.decapsulate(&message[..length])), Some(expected), "{length}");
    }
    assert_eq!(refused(gateway.decapsulate(&[message, vec![0]].concat())), Some(ObliviousError::Refused));
    let long = vec![1; REQUEST_BYTES_MAX + 1];
    assert_eq!(refused(gateway.decapsulate(&long)), Some(ObliviousError::TooLong));
    assert_eq!(refused(gateway.decapsulate(&long[1..])), Some(ObliviousError::Suite));
}

#[test]
fn a_response_belongs_to_one_request_and_is_whole() {
    let gateway = gateway();
    let exchange = || {
        let (message, context) = ClientContext::encapsulate(gateway.configs(), &request(&[]), "").unwrap();
        let response = gateway.decapsulate(&message).unwrap().1.encapsulate(200, &[], b"yes").unwrap();
        (response, context)
    };
    let (one, _) = exchange();
    assert_eq!(refused(exchange().1.decapsulate(&one)), Some(ObliviousError::Refused));
    for bit in (0..256).chain((256..1024 * 8).step_by(331)).chain(1008 * 8..1024 * 8) {
        let (mut response, context) = exchange();
        response[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refused(context.decapsulate(&response)), Some(ObliviousError::Refused), "bit {bit}");
    }
    for (length, expected) in
        [(0, ObliviousError::TooShort), (31, ObliviousError::TooShort), (32, ObliviousError::Refused)]
    {
        let (response, context) = exchange();
        assert_eq!(refused(context.decapsulate(&response[..length])), Some(expected), "{length}");
    }
    let long = vec![0; RESPONSE_BYTES_MAX + 1];
    assert_eq!(refused(exchange().1.decapsulate(&long)), Some(ObliviousError::TooLong));
}

#[test]
fn fields_of_one_hop_and_of_proxies_are_dropped() {
    let gateway = gateway();
    let kept = [("accept", "a"), ("authorization", "Bearer b"), ("x-forwarder", "c"), ("date", "d")];
    let dropped = [
        ("connection", "close, X-Hop ,te"),
        ("x-hop", "1"),
        ("content-length", "5"),
        ("cookie", "a=b"),
        ("cookie", "c=d"),
        ("forwarded", "for=192.0.2.1"),
        ("host", "region.example"),
        ("keep-alive", "1"),
        ("set-cookie", "a=b"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("via", "1.1 relay"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-", "1"),
        ("x-real-ip", "192.0.2.1"),
        ("proxy-connection", "x-other"),
        ("x-other", "1"),
    ];
    let all: Vec<(&[u8], &[u8])> =
        dropped.iter().chain(&kept).map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    // Received, sent, and answered with.
    let received = opened(&raw(b"GET", b"https", b"region.example", b"/", &all)).unwrap();
    assert_eq!(received.headers, fields(&kept));
    let sent = request(&[&dropped[..], &kept].concat());
    let (message, context) = ClientContext::encapsulate(gateway.configs(), &sent, "").unwrap();
    let (received, responder) = gateway.decapsulate(&message).unwrap();
    assert_eq!(received.headers, fields(&kept));
    let answer: Vec<(&str, &[u8])> =
        dropped.iter().chain(&kept).map(|(name, value)| (*name, value.as_bytes())).collect();
    let response = context.decapsulate(&responder.encapsulate(200, &answer, b"").unwrap()).unwrap();
    assert_eq!(response.headers, fields(&kept));
}

#[test]
fn each_part_of_a_request_is_checked() {
    let good = |headers: &[(&[u8], &[u8])]| opened(&raw(b"GET", b"https", b"region.example", b"/", headers));
    assert_eq!(refused(good(&[])), None);
    for scheme in [&b"http"[..], b"", b"HTTPS", b"https:"] {
        let result = opened(&raw(b"GET", scheme, b"region.example", b"/", &[]));
        assert_eq!(refused(result), Some(ObliviousError::Scheme));
    }
    for method in [&b""[..], b"CONNECT", b"GET ", b"G\0T", b"ABCDEFGHIJKLMNOPQ", b"\xc3\xa4"] {
        let result = opened(&raw(method, b"https", b"region.example", b"/", &[]));
        assert_eq!(refused(result), Some(ObliviousError::Method), "{method:?}");
    }
    let long = [b'/'; PATH_BYTES_MAX + 1];
    for path in [&b""[..], b"*", b"v1", b"/a b", b"/a\r\n", b"/#a", b"/\xff", &long] {
        let result = opened(&raw(b"GET", b"https", b"region.example", path, &[]));
        assert_eq!(refused(result), Some(ObliviousError::Path), "{path:?}");
    }
    assert_eq!(refused(opened(&raw(b"GET", b"https", b"", &long[1..], &[]))), None);
    for authority in [&b"a b"[..], b"\0", &[b'a'; AUTHORITY_BYTES_MAX + 1]] {
        let result = opened(&raw(b"GET", b"https", authority, b"/", &[]));
        assert_eq!(refused(result), Some(ObliviousError::Authority), "{authority:?}");
    }
    let (long_name, long_value) = ([b'a'; FIELD_NAME_BYTES_MAX + 1], vec![b'a'; FIELD_VALUE_BYTES_MAX + 1]);
    let bad: [(&[u8], &[u8]); 10] = [
        (b"Accept", b""),
        (b":path", b"/"),
        (b"a b", b""),
        (&long_name, b""),
        (b"a", &long_value),
        (b"a", b"b\r\nc: d"),
        (b"a", b"b\0"),
        (b"a", b" b"),
        (b"a", b"b\t"),
        (b"cookie", b"\x7f"),
    ];
    for field in bad {
        assert_eq!(refused(good(&[field])), Some(ObliviousError::Field), "{:?}", field.0);
    }
    assert_eq!(refused(good(&[(&long_name[1..], &long_value[1..])])), None);
    let many = [(&b"te"[..], &b""[..]); FIELDS_MAX + 1];
    assert_eq!(refused(good(&many)), Some(ObliviousError::TooManyFields));
    assert_eq!(refused(good(&many[1..])), None);
}

#[test]
fn what_is_no_request_is_refused() {
    let whole = raw(b"GET", b"https", b"a", b"/", &[(b"accept", b"b")]);
    for response in ["0140c8", "0340c80000"] {
        assert_eq!(refused(opened(&hex(response))), Some(ObliviousError::Binary), "{response}");
    }
    for bad in [&[][..], &[4], &[0xff; 9], &whole[..5], &[0, 63]] {
        assert_eq!(refused(opened(bad)), Some(ObliviousError::Binary), "{bad:?}");
    }
    // Zeros behind a message are padding, anything else is not, wherever it stands.
    for padding in [0, 1, 500] {
        assert!(opened(&[whole.clone(), vec![0; padding]].concat()).unwrap().headers == fields(&[("accept", "b")]));
    }
    for at in [0, 250, 499] {
        let mut padded = [whole.clone(), vec![0; 500]].concat();
        padded[whole.len() + at] = 1;
        assert_eq!(refused(opened(&padded)), Some(ObliviousError::Padding), "{at}");
    }
    assert_eq!(refused(binary::read_request(&vec![0; REQUEST_BYTES_MAX + 1])), Some(ObliviousError::TooLong));
}

#[test]
fn each_part_of_a_response_is_checked() {
    let answered = |status, headers: &[(&str, &[u8])], length: usize| {
        let (message, _) = ClientContext::encapsulate(gateway().configs(), &request(&[]), "").unwrap();
        gateway().decapsulate(&message).unwrap().1.encapsulate(status, headers, &vec![0; length]).map(|sent| sent.len())
    };
    assert_eq!(answered(200, &[], 0), Ok(1024));
    assert_eq!(answered(599, &[], 1024), Ok(2048));
    assert_eq!(answered(200, &[], RESPONSE_BYTES_MAX - 64), Ok(RESPONSE_BYTES_MAX));
    assert_eq!(answered(200, &[], RESPONSE_BYTES_MAX - 32), Err(ObliviousError::TooLong));
    assert_eq!(answered(200, &[], RESPONSE_BYTES_MAX + 1), Err(ObliviousError::TooLong));
    for status in [0, 99, 100, 199, 600, 65535] {
        assert_eq!(answered(status, &[], 0), Err(ObliviousError::Status), "{status}");
    }
    assert_eq!(answered(200, &[("Accept", b"")], 0), Err(ObliviousError::Field));
    assert_eq!(answered(200, &[("a", b"b\n")], 0), Err(ObliviousError::Field));
    assert_eq!(answered(200, &[("a", &b""[..]); FIELDS_MAX + 1], 0), Err(ObliviousError::TooManyFields));
}

#[test]
fn a_request_that_no_gateway_takes_is_not_sent() {
    let sent = |request: &InnerRequest, authority: &str| {
        refused(ClientContext::encapsulate(gateway().configs(), request, authority))
    };
    let mut request = request(&[]);
    assert_eq!(sent(&request, "region.example:443"), None);
    assert_eq!(sent(&request, "a b"), Some(ObliviousError::Authority));
    request.body = vec![0; REQUEST_BYTES_MAX - 128];
    assert_eq!(sent(&request, ""), None);
    request.body = vec![0; REQUEST_BYTES_MAX - 32];
    assert_eq!(sent(&request, ""), Some(ObliviousError::TooLong));
    request.path = "v1".to_owned();
    assert_eq!(sent(&request, ""), Some(ObliviousError::Path));
    request.method = "CONNECT".to_owned();
    assert_eq!(sent(&request, ""), Some(ObliviousError::Method));
}

#[test]
fn a_client_takes_the_first_key_that_it_can_use() {
    let listed = |configs: &[Vec<u8>]| -> Vec<u8> {
        configs
            .iter()
            .flat_map(|config| [&[0, u8::try_from(config.len()).unwrap()], config.as_slice()].concat())
            .collect()
    };
    let (one, two) = (key(1, 1).config(), key(2, 2).config());
    let with_kem = |kem: u8| [&one[..2], &[kem], &one[3..]].concat();
    let with_suites = |suites: &[u8]| [&one[..35], &[0, u8::try_from(suites.len()).unwrap()], suites].concat();
    let id = |configs: &[Vec<u8>]| first_usable(&listed(configs)).map(|config| config[0]);
    assert_eq!(id(&[one.clone(), two.clone()]), Ok(1));
    let unusable = [
        with_kem(0x10),
        with_suites(&[]),
        with_suites(&[0, 1, 0, 3]),
        with_suites(&[0, 1, 0, 1, 0]),
        [one.clone(), vec![0]].concat(),
        one[..40].to_vec(),
        vec![],
    ];
    for config in unusable {
        assert_eq!(id(&[config.clone(), two.clone()]), Ok(2), "{config:?}");
        assert_eq!(id(&[config]), Err(ObliviousError::Configs));
    }
    assert_eq!(id(&[with_suites(&[0, 1, 0, 3, 0, 1, 0, 1])]), Ok(1));
    let list = listed(&[one]);
    assert_eq!(first_usable(&[]), Err(ObliviousError::Configs));
    assert_eq!(first_usable(&list[..list.len() - 1]), Err(ObliviousError::Configs));
    assert_eq!(first_usable(&[list.as_slice(), &[0]].concat()), Err(ObliviousError::Configs));
    assert_eq!(first_usable(&list.repeat(100)), Err(ObliviousError::Configs));
    // A public key of small order is no key (RFC 9180 §7.1.4).
    let zero = [&[0, 41, 1, 0, 0x20], [0; 32].as_slice(), &[0, 4, 0, 1, 0, 1]].concat();
    assert_eq!(refused(ClientContext::encapsulate(&zero, &request(&[]), "")), Some(ObliviousError::Configs));
}

#[test]
fn a_capsule_of_small_order_is_refused() {
    let message = [&[1, 0, 0x20, 0, 1, 0, 1], [0; 100].as_slice()].concat();
    assert_eq!(refused(gateway().decapsulate(&message)), Some(ObliviousError::Refused));
}

#[test]
fn few_lengths_are_seen() {
    let lengths: std::collections::BTreeSet<_> = (0..=RESPONSE_BYTES_MAX).step_by(7).map(padded_len).collect();
    assert_eq!(lengths, (10..=20).map(|power| 1 << power).collect());
    assert_eq!((padded_len(0), padded_len(1024), padded_len(1025)), (1024, 1024, 2048));
    assert_eq!(padded_len(usize::MAX), usize::MAX);
}

proptest! {
    #[test]
    fn padding_grows_with_its_message(one: usize, two: usize) {
        let (less, more) = (one.min(two), one.max(two));
        prop_assert!(padded_len(less) >= less);
        prop_assert!(padded_len(less) <= padded_len(more));
        prop_assert_eq!(padded_len(padded_len(less)), padded_len(less));
    }

    #[test]
    fn any_content_comes_back_and_its_length_is_one_of_few(
        name in "[a-z][a-z0-9-]{0,20}q",
        value in "[!-~]([ -~]{0,100}[!-~])?",
        path in "/[a-z0-9/?=&%]{0,100}",
        body in prop::collection::vec(any::<u8>(), 0..5000),
    ) {
        let gateway = gateway();
        let headers = vec![(name.clone(), value.clone().into_bytes())];
        let sent = InnerRequest { method: "PUT".to_owned(), path, headers, body };
        let (message, context) = ClientContext::encapsulate(gateway.configs(), &sent, "region.example").unwrap();
        prop_assert!([1024, 2048, 4096, 8192].contains(&message.len()));
        let (received, responder) = gateway.decapsulate(&message).unwrap();
        prop_assert!(received == sent);
        let message = responder.encapsulate(200, &[(&name, value.as_bytes())], &sent.body).unwrap();
        prop_assert!([1024, 2048, 4096, 8192].contains(&message.len()));
        let response = context.decapsulate(&message).unwrap();
        prop_assert_eq!(&response.body, &sent.body);
        prop_assert_eq!(&response.headers, &sent.headers);
    }

    #[test]
    fn no_bytes_are_trusted(data: Vec<u8>, mode in 0u8..4) {
        fuzz::message(&data);
        fuzz::message(&[&[1, 0, 0x20, 0, 1, 0, 1], data.as_slice()].concat());
        fuzz::configs(&data);
        fuzz::configs(&[&[0, 41, 1, 0, 0x20], data.as_slice()].concat());
        for bytes in [data.clone(), [vec![mode], data].concat()] {
            fuzz::binary_request(&bytes);
            fuzz::binary_response(&bytes);
        }
    }

    /// Near to good ones: one byte of a request replaced.
    #[test]
    fn changed_requests_are_read_or_refused(position: prop::sample::Index, byte: u8) {
        let mut request = raw(b"POST", b"https", b"a", b"/v1", &[(b"accept", b"b"), (b"connection", b"c")]);
        let at = position.index(request.len());
        request[at] = byte;
        fuzz::binary_request(&request);
    }
}

/// The bodies reach what lies behind the parsers.
#[test]
fn fuzz_bodies_take_good_messages() {
    let (message, _) = ClientContext::encapsulate(gateway().configs(), &request(&[("accept", "a")]), "").unwrap();
    fuzz::message(&message);
    fuzz::configs(gateway().configs());
    fuzz::binary_request(&raw(b"GET", b"https", b"a", b"/", &[(b"accept", b"b")]));
    fuzz::binary_response(&hex("0140c8"));
}
