use super::super::refusal::is_absent;
use super::*;

/// Tag, size, number, handles, sessions with their size, parameters (Part 1 §18).
#[test]
fn commands_have_their_form() {
    let startup = encode(STARTUP, &[], &[], &0_u16.to_be_bytes());
    assert_eq!(startup, [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0]);
    let two = encode(ACTIVATE_CREDENTIAL, &[1, 2], &[PASSWORD, 3], &[9]);
    let mut expected = vec![0x80, 2, 0, 0, 0, 41, 0, 0, 1, 0x47, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 18];
    expected.extend([0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 1, 0, 0, 9]);
    assert_eq!(two, expected);
    assert_eq!(selection(mask(8, 12)), [0, 0, 0, 1, 0, 11, 3, 0, 0x0f, 0]);
    assert_eq!(selection(mask(0, 24)), [0, 0, 0, 1, 0, 11, 3, 0xff, 0xff, 0xff]);
}

#[test]
fn codes_are_told_in_words() {
    let absent = CommandError::Refused(NV_READ_PUBLIC, 0x18b);
    assert!(is_absent(&absent));
    let text = "the TPM refused TPM2_NV_ReadPublic with 0x18b: there is nothing of this number";
    assert_eq!(absent.to_string(), text);
    let refused = CommandError::Refused(ACTIVATE_CREDENTIAL, 0x1df);
    assert!(!is_absent(&refused));
    assert_eq!(
        refused.to_string(),
        "the TPM refused TPM2_ActivateCredential with 0x1df: the credential is not for this TPM and this key"
    );
    let full = CommandError::Refused(QUOTE, 0x902).to_string();
    assert_eq!(full, "the TPM refused TPM2_Quote with 0x902: it has no room for another key or session");
}
