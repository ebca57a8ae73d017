//! A temporary folder plays the kernel. Plain files hold the answer beforehand, and a link from `generation` to `inblob`
//! plays that writing the question counts on. What they cannot play: files that appear with the folder and go with it, a
//! report that is about the question, waiting, and the kernel's own refusals.

use std::os::unix::fs::symlink;

use super::*;

/// A question that reads as the number 42.
fn question() -> [u8; 64] {
    let mut bytes = [b'\n'; 64];
    bytes[..2].copy_from_slice(b"42");
    bytes
}

/// A request's folder with these files; `generation` is what `inblob` says.
fn played(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    symlink("inblob", folder.path().join("generation")).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn words(error: ConfigfsError) -> String {
    error.to_string()
}

#[test]
fn the_answer_is_read_with_what_stands_beside_it() {
    let folder =
        played(&[("provider", b"sev_guest\n"), ("inblob", b"41\n"), ("outblob", b"report"), ("auxblob", b"table")]);
    let answer = Answer { provider: Provider::SevGuest, report: b"report".to_vec(), beside: b"table".to_vec() };
    assert_eq!(ask(folder.path(), &question()).map_err(words), Ok(answer));
    assert_eq!(std::fs::read(folder.path().join("inblob")).unwrap(), question());
    let folder = played(&[("provider", b"tdx_guest\n"), ("inblob", b"41\n"), ("outblob", b"quote")]);
    let answer = Answer { provider: Provider::TdxGuest, report: b"quote".to_vec(), beside: Vec::new() };
    assert_eq!(ask(folder.path(), &question()).map_err(words), Ok(answer));
}

#[test]
fn what_is_not_an_answer_to_this_question_is_refused() {
    let good: [(&str, &[u8]); 3] = [("provider", b"sev_guest"), ("inblob", b"41"), ("outblob", b"report")];
    let refused = |file: &str, bytes: &[u8]| {
        let mut files = good;
        files.iter_mut().filter(|(name, _)| *name == file).for_each(|entry| entry.1 = bytes);
        words(ask(played(&files).path(), &question()).unwrap_err())
    };
    for writes in ["40", "42", "18446744073709551615"] {
        assert_eq!(
            refused("inblob", writes.as_bytes()),
            "another process changed the request while it was answered",
            "{writes} writes before"
        );
    }
    assert_eq!(refused("inblob", b"many"), "the kernel's generation cannot be used");
    assert_eq!(refused("provider", b"arm_cca_guest"), "the kernel's provider of reports is not one that is known");
    let long = vec![0; usize::try_from(ANSWER_BYTES_MAX).unwrap() + 1];
    assert_eq!(refused("outblob", &long), "the kernel's outblob is too long");
    for missing in ["provider", "inblob", "outblob"] {
        let folder = played(&good);
        std::fs::remove_file(folder.path().join(missing)).unwrap();
        let said = words(ask(folder.path(), &question()).unwrap_err());
        // Without the question's file there is no count of writes either.
        let file = if missing == "inblob" { "generation" } else { missing };
        assert_eq!(said, format!("the kernel's {file} cannot be used"));
    }
}

#[test]
fn a_request_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    // The folder that is made stays empty here, so that the first file is missing.
    assert_eq!(words(report(&question(), root.path()).unwrap_err()), "the kernel's provider cannot be used");
    assert_eq!(words(provider(root.path()).unwrap_err()), "the kernel's provider cannot be used");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    let missing = report(&question(), &root.path().join("none")).unwrap_err();
    assert_eq!(words(missing), "the kernel's folder cannot be used");
}

/// A table of these certificates behind an entry of zeros.
fn table(certificates: &[([u8; 16], &[u8])]) -> Vec<u8> {
    let (mut head, mut body) = (Vec::new(), Vec::new());
    let start = (certificates.len() + 1) * ENTRY_BYTES;
    for (guid, certificate) in certificates {
        head.extend(guid);
        head.extend(u32::try_from(start + body.len()).unwrap().to_le_bytes());
        head.extend(u32::try_from(certificate.len()).unwrap().to_le_bytes());
        body.extend(*certificate);
    }
    head.extend([0; ENTRY_BYTES]);
    [head, body].concat()
}

fn evidence(beside: Vec<u8>, file: Option<&[u8]>) -> Result<(Vec<u8>, Vec<u8>), String> {
    let answer = Answer { provider: Provider::SevGuest, report: b"report".to_vec(), beside };
    let evidence = sev_snp(answer, file).map_err(words)?;
    assert_eq!(evidence.report.0, b"report");
    Ok((evidence.vcek.0, evidence.ask.0))
}

#[test]
fn certificates_come_from_the_host_or_a_file() {
    let pem = |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let of_host = table(&[([9; 16], b"root"), (ASK, b"ask"), (VCEK, pem("dmNlaw==").as_bytes())]);
    let pair = |vcek: &[u8], ask: &[u8]| Ok((vcek.to_vec(), ask.to_vec()));
    assert_eq!(evidence(of_host.clone(), None), pair(b"vcek", b"ask"));
    let file = pem("b3du") + &pem("aXNzdWVy");
    assert_eq!(evidence(of_host, Some(file.as_bytes())), pair(b"vcek", b"ask"), "the host's are newer");
    assert_eq!(evidence(Vec::new(), Some(file.as_bytes())), pair(b"own", b"issuer"));
    assert_eq!(evidence(table(&[(VCEK, b"vcek")]), Some(file.as_bytes())), pair(b"own", b"issuer"));
    let none = Err("neither the host nor a file gives the chip's certificate and its issuer's".to_owned());
    for beside in [Vec::new(), table(&[]), table(&[(ASK, b"ask")])] {
        assert_eq!(evidence(beside.clone(), None), none);
        assert_eq!(evidence(beside, Some(pem("b3du").as_bytes())), none, "one certificate is not two");
    }
}

#[test]
fn a_hostile_table_is_malformed() {
    let malformed = Err("the host's table of certificates is malformed".to_owned());
    let good = table(&[(VCEK, b"vcek"), (ASK, b"ask")]);
    for end in 1..good.len() {
        assert_eq!(evidence(good[..end].to_vec(), None), malformed, "{end}");
    }
    for byte in [17, 18, 19, 21, 22, 23] {
        let mut beyond = good.clone();
        beyond[byte] = 0xFF;
        assert_eq!(evidence(beyond, None), malformed, "{byte}");
    }
    let many = table(&vec![([9; 16], b"x".as_slice()); ENTRIES_MAX + 1]);
    assert_eq!(evidence(many, None), malformed);
    assert_eq!(evidence(table(&[(VCEK, b"-----BEGIN"), (ASK, b"ask")]), None), malformed);
}

#[test]
fn quotes_go_with_bounded_collateral() {
    let answer = || Answer { provider: Provider::TdxGuest, report: b"quote".to_vec(), beside: Vec::new() };
    let made = tdx(answer(), b"{}".to_vec()).unwrap();
    assert_eq!((made.quote.0, made.collateral.0), (b"quote".to_vec(), b"{}".to_vec()));
    let long = tdx(answer(), vec![b' '; COLLATERAL_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(words(long), "the kernel's collateral is too long");
}
