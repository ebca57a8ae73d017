use proptest::prelude::*;

use super::*;

fn zero() -> Digest {
    Digest::from_bytes([0; 32])
}

fn extend(value: Digest, by: &[u8]) -> Digest {
    Digest::of_parts(&[value.as_bytes(), by])
}

/// An entry of the kernel's log: register, template, fields; with its SHA-1 as it is, or zeros.
fn entry(register: u32, template: &str, fields: &[&[u8]], violation: bool) -> Vec<u8> {
    let data: Vec<u8> = fields.iter().flat_map(|field| sized(field)).collect();
    let sha1 = if violation { [0; 20] } else { [1; 20] };
    [&register.to_le_bytes()[..], &sha1, &sized(template.as_bytes()), &sized(&data)].concat()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat()
}

fn file(content: &str) -> Vec<u8> {
    [b"sha256:\0", &digest(content).as_bytes()[..]].concat()
}

fn hashed(fields: &[&[u8]]) -> [u8; 32] {
    *Digest::of(&fields.iter().flat_map(|field| sized(field)).collect::<Vec<_>>()).as_bytes()
}

#[test]
fn the_kernels_log_replays_entry_by_entry() {
    let (path, program) = (b"/usr/bin/siwa\0", file("siwa"));
    let signed: [&[u8]; 3] = [&program, path, b"signature"];
    let log = [
        entry(10, "ima-sig", &signed, false),
        // Of another register, and by another hash: neither is a program that is known.
        entry(11, "ima-ng", &[&file("elsewhere"), path], false),
        entry(10, "ima-ng", &[b"sha1:\0aaaaaaaaaaaaaaaaaaaa", path], false),
        // Who wrote to a file while it was measured extends by ones.
        entry(10, "ima-ng", &[&file("written to"), path], true),
        entry(10, "ima-buf", &[&file("a buffer"), b"name\0", b"data"], false),
    ];
    let mut value = zero();
    for by in [
        hashed(&signed),
        hashed(&[b"sha1:\0aaaaaaaaaaaaaaaaaaaa", path]),
        [0xff; 32],
        hashed(&[&file("a buffer"), b"name\0", b"data"]),
    ] {
        value = extend(value, &by);
    }
    let all = log.concat();
    assert_eq!(ima::replay(&all, value), Ok(BTreeSet::from([digest("siwa")])));
    assert_eq!(ima::replay(&all, zero()), Err(ima::ImaError::Replay));
    assert_eq!(ima::replay(&all[..all.len() - 1], value), Err(ima::ImaError::Malformed));
    assert_eq!(ima::replay(&log[..4].concat(), value), Err(ima::ImaError::Replay), "an entry is missing");
    let swapped = [&log[1..3], &log[..1], &log[3..]].concat().concat();
    assert_eq!(ima::replay(&swapped, value), Err(ima::ImaError::Replay), "another order");
    assert_eq!(ima::replay(&[], zero()), Ok(BTreeSet::new()));
    // The kernel goes on while a quote is made: the part up to the quote is cut out.
    let longer = [all.clone(), entry(10, "ima-ng", &[&file("later"), path], false)].concat();
    assert_eq!(ima::replay(&longer, value), Err(ima::ImaError::Replay));
    assert_eq!(ima_log_until(&longer, value), Ok(&all[..]));
    assert_eq!(ima_log_until(&longer, zero()), Ok(&[][..]));
    assert_eq!(ima_log_until(&longer, digest("never")), Err(wire::Malformed));
}

#[test]
fn entries_of_another_form_are_refused() {
    let path = b"/bin/x\0";
    for log in [
        // The oldest template is hashed otherwise.
        entry(10, "ima", &[&[1; 20], path], false),
        entry(10, "ima-ng", &[&file("x")], false),
        entry(10, "ima-ng", &[&file("x"), path, b"more"], false),
        entry(10, "ima-sig", &[&file("x"), path], false),
        entry(10, "ima-ng", &[b"sha256:\0short", path], false),
        entry(10, &"n".repeat(65), &[&file("x"), path], false),
        entry(10, "ima-buf", &[&vec![0; 64 * 1024]], false),
    ] {
        assert_eq!(ima::replay(&log, zero()), Err(ima::ImaError::Malformed));
    }
    assert_eq!(ima::replay(&vec![0; IMA_LOG_BYTES_MAX + 1], zero()), Err(ima::ImaError::Malformed));
}

/// The first event of a firmware's log, with these banks.
fn header(banks: &[(u16, u16)]) -> Vec<u8> {
    let mut data = [&b"Spec ID Event03\0"[..], &[0, 0, 0, 0, 0, 2, 0, 2]].concat();
    data.extend(u32::try_from(banks.len()).unwrap().to_le_bytes());
    banks.iter().for_each(|(hash, bytes)| data.extend([hash.to_le_bytes(), bytes.to_le_bytes()].concat()));
    data.push(0);
    [&[0, 0, 0, 0, 3, 0, 0, 0], &[0; 20][..], &sized(&data)].concat()
}

fn event(register: u32, kind: u32, digests: &[(u16, &[u8])], data: &[u8]) -> Vec<u8> {
    let mut out = [register, kind, u32::try_from(digests.len()).unwrap()].map(u32::to_le_bytes).concat();
    digests.iter().for_each(|(hash, digest)| out.extend([&hash.to_le_bytes()[..], digest].concat()));
    [out, sized(data)].concat()
}

#[test]
fn the_firmwares_log_replays_from_the_locality_that_it_began_in() {
    let (sha1, sha256) = ([1; 20], [2; 32]);
    let both: &[(u16, &[u8])] = &[(4, &sha1), (11, &sha256)];
    let log = [
        header(&[(4, 20), (11, 32)]),
        event(0, 3, both, b"StartupLocality\0\x03"),
        event(0, 8, both, b"version"),
        event(9, 13, both, b"kernel"),
        // The system's own registers have no log here.
        event(11, 13, both, b"stub"),
        event(u32::MAX, 3, both, b"for the reader"),
    ];
    let mut first = [0; 32];
    first[31] = 3;
    let expected = BTreeMap::from([(0, extend(Digest::from_bytes(first), &sha256)), (9, extend(zero(), &sha256))]);
    assert_eq!(boot_log::replay(&log.concat()), Ok(expected));
    assert_eq!(boot_log::replay(&log[0]), Ok(BTreeMap::new()));
    let with = |more: Vec<u8>| boot_log::replay(&[log[..3].concat(), more].concat());
    assert_eq!(with(event(0, 3, both, b"StartupLocality\0\x03")), Err(wire::Malformed), "too late");
    assert_eq!(with(event(0, 3, both, b"StartupLocality\0\x05")), Err(wire::Malformed));
    assert_eq!(with(event(24, 8, both, b"")), Err(wire::Malformed), "no register");
    assert_eq!(with(event(0, 8, &both[1..], b"")), Err(wire::Malformed), "a bank is missing");
    assert_eq!(with(event(0, 8, &[both[1], both[1]], b"")), Err(wire::Malformed), "a bank twice");
    assert_eq!(with(event(0, 8, &[both[0], both[0]], b"")), Err(wire::Malformed), "not the bank that counts");
    assert_eq!(with(event(0, 8, &[both[0], (12, &[0; 48])], b"")), Err(wire::Malformed), "an unknown bank");
    assert_eq!(with(vec![0]), Err(wire::Malformed));
    for banks in [&[(4, 20)][..], &[(11, 31)], &[(11, 32), (11, 32)], &[(11, 32), (13, 65)], &[(11, 32); 9], &[]] {
        assert_eq!(boot_log::replay(&header(banks)), Err(wire::Malformed), "{banks:?}");
    }
    assert_eq!(boot_log::replay(&[]), Err(wire::Malformed));
    assert_eq!(boot_log::replay(&vec![0; BOOT_LOG_BYTES_MAX + 1]), Err(wire::Malformed));
}

#[test]
fn logs_of_another_boot_are_refused() {
    let (_, good) = recorded();
    let boot =
        |log: Vec<u8>| check(&TpmEvidence { boot_log: Some(log.into()), ..good.clone() }).map(|found| found.tier);
    let ima = |log: Vec<u8>| check(&TpmEvidence { ima_log: Some(log.into()), ..good.clone() }).map(|found| found.tier);
    assert_eq!(boot(BOOT_LOG.to_vec()), Ok(Tier::Development));
    assert_eq!(ima(IMA_LOG.to_vec()), Ok(Tier::Development));
    let more: &[(u16, &[u8])] = &[(11, &[9; 32])];
    assert_eq!(boot([BOOT_LOG.to_vec(), event(4, 13, more, b"a rootkit")].concat()), Err(TpmError::BootReplay));
    assert_eq!(boot(BOOT_LOG[..BOOT_LOG.len() - 1].to_vec()), Err(TpmError::BootLog));
    assert_eq!(boot(Vec::new()), Err(TpmError::BootLog));
    let more = entry(10, "ima-ng", &[&file("siwa"), b"/usr/bin/siwa\0"], false);
    assert_eq!(ima([IMA_LOG.to_vec(), more].concat()), Err(TpmError::ImaReplay), "a program that never ran");
    assert_eq!(ima(Vec::new()), Err(TpmError::ImaReplay));
    assert_eq!(ima(IMA_LOG[..IMA_LOG.len() - 1].to_vec()), Err(TpmError::ImaLog));
    // A log that leads to a register which was not quoted leads nowhere.
    let tpm = Tpm::new([(0, digest("0"))]);
    let evidence = TpmEvidence { ima_log: Some(Vec::new().into()), ..tpm.quote(b"bound") };
    assert_eq!(check(&evidence), Err(TpmError::ImaReplay));
}

proptest! {
    /// No byte of either log that says what was measured can be altered.
    #[test]
    fn a_recorded_log_holds_for_each_digest(at in 0_usize..1024, bit in 0_u32..8) {
        let (_, good) = recorded();
        // The content of `/usr/bin/siwa`, found by its digest.
        let place = |log: &[u8], digest: &[u8]| log.windows(digest.len()).position(|part| part == digest).unwrap();
        let mut evidence = good.clone();
        let log = &mut evidence.ima_log.as_mut().unwrap().0;
        let found = place(log, digest("siwa, the program").as_bytes());
        log[found + at % 32] ^= 1 << bit;
        prop_assert_eq!(check(&evidence), Err(TpmError::ImaReplay));
        let mut evidence = good;
        let log = &mut evidence.boot_log.as_mut().unwrap().0;
        let found = place(log, digest("POST CODE").as_bytes());
        log[found + at % 32] ^= 1 << bit;
        prop_assert_eq!(check(&evidence), Err(TpmError::BootReplay));
    }

    #[test]
    fn altered_logs_never_panic(at in 0_usize..4096, byte in any::<u8>(), cut in 0_usize..4096) {
        for log in [BOOT_LOG, IMA_LOG] {
            let mut log = log.to_vec();
            let at = at % log.len();
            log[at] = byte;
            log.truncate(cut.max(1));
            drop(boot_log::replay(&log));
            fuzz::logs(&log);
            fuzz::logs(&[&[0; 32], &log[..]].concat());
        }
    }
}
