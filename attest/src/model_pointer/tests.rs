use super::*;
use crate::keys::tests::rfc8037_key;

fn pointer(serial: u64, version: u64) -> ModelPointer {
    ModelPointer {
        tenant: "demo-platform".parse().unwrap(),
        version,
        digest: Digest::of(b"artifact"),
        serial,
        iat: 1_800_000_000,
    }
}

fn verify(pointer: &ModelPointer, last: Option<&ModelPointer>) -> Result<ModelPointer, PointerError> {
    let token = pointer.sign(&rfc8037_key()).unwrap();
    ModelPointer::verify(&token, &rfc8037_key().verifying_key(), &"demo-platform".parse().unwrap(), last)
}

#[test]
fn the_serial_rises_and_the_version_may_fall() {
    let (first, second, back) = (pointer(1, 1), pointer(2, 2), pointer(3, 1));
    assert_eq!(verify(&first, None), Ok(first.clone()));
    assert_eq!(verify(&second, Some(&first)), Ok(second.clone()));
    assert_eq!(verify(&second, Some(&second)), Ok(second.clone()), "asked again, nothing new");
    let anew = ModelPointer { iat: second.iat + 60, ..second.clone() };
    assert_eq!(verify(&anew, Some(&second)), Ok(anew.clone()), "signed anew");
    assert_eq!(verify(&back, Some(&second)), Ok(back.clone()), "a roll-back");
    assert_eq!(verify(&first, Some(&second)), Err(PointerError::Serial), "a replay");
    assert_eq!(verify(&pointer(2, 1), Some(&second)), Err(PointerError::Serial), "two pointers of one serial");
}

#[test]
fn another_tenant_artifact_or_key_is_refused() {
    let foreign = ModelPointer { tenant: "other".parse().unwrap(), ..pointer(1, 1) };
    assert_eq!(verify(&foreign, None), Err(PointerError::Tenant));
    assert_eq!(pointer(1, 1).check_artifact(b"artifact"), Ok(()));
    assert_eq!(pointer(1, 1).check_artifact(b"artifacu"), Err(PointerError::Artifact));
    let token = pointer(1, 1).sign(&rfc8037_key()).unwrap();
    let stranger = VerifyingKey::from_bytes([3; 32]);
    assert_eq!(
        ModelPointer::verify(&token, &stranger, &"demo-platform".parse().unwrap(), None),
        Err(PointerError::Jws(JwsError::Key))
    );
}
