//! Signing notes and checkpoints (C2SP signed-note, tlog-cosignature): the half of `policies::log` with private keys.
//!
//! A note's text has a newline and no zero byte, so that no signature here is one under a [`Context`] or of a JWS; the
//! text of a note never begins as a cosignature's message does. A key signs either notes or cosignatures: the ids of
//! both differ, and a verifier knows which it expects.
//!
//! [`Context`]: crate::Context

use policies::log::note::cosignature_message;
use policies::log::{Checkpoint, InvalidVerifierKey, KeyAlgorithm, MalformedNote, Note, NoteSignature, VerifierKey};

use crate::keys::{SigningKey, VerifyingKey};

/// A private key with the name under which it signs notes or checkpoints. Has no `Debug`.
pub struct NoteSigner {
    key: SigningKey,
    public: VerifierKey,
}

/// The verifier key of a public key under a name.
///
/// # Errors
/// The name cannot be one.
pub fn verifier_key(
    name: &str,
    algorithm: KeyAlgorithm,
    key: &VerifyingKey,
) -> Result<VerifierKey, InvalidVerifierKey> {
    VerifierKey::new(name, algorithm, *key.as_bytes())
}

impl NoteSigner {
    /// A signer of notes: for a log, the name is its origin.
    ///
    /// # Errors
    /// The name cannot be one.
    pub fn of_notes(name: &str, key: SigningKey) -> Result<Self, InvalidVerifierKey> {
        let public = verifier_key(name, KeyAlgorithm::Note, &key.verifying_key())?;
        Ok(Self { key, public })
    }

    /// A witness.
    ///
    /// # Errors
    /// The name cannot be one.
    pub fn of_cosignatures(name: &str, key: SigningKey) -> Result<Self, InvalidVerifierKey> {
        let public = verifier_key(name, KeyAlgorithm::Cosignature, &key.verifying_key())?;
        Ok(Self { key, public })
    }

    /// The public half with the name.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.public
    }

    /// Signs a note's text. A witness also says when, in Unix seconds; a signer of notes says no time.
    #[must_use]
    pub fn sign(&self, note: &Note, now_s: u64) -> NoteSignature {
        let bytes = match self.public.algorithm() {
            KeyAlgorithm::Note => self.key.sign_raw(note.text().as_bytes()).0.to_vec(),
            KeyAlgorithm::Cosignature => {
                let signature = self.key.sign_raw(cosignature_message(note.text(), now_s).as_bytes());
                [now_s.to_be_bytes().as_slice(), &signature.0].concat()
            }
        };
        NoteSignature::of(&self.public, bytes)
    }

    /// A text as a note with this signer's signature.
    ///
    /// # Errors
    /// The text cannot stand in a note.
    pub fn note(&self, text: String, now_s: u64) -> Result<Note, MalformedNote> {
        let mut note = Note::of(text)?;
        let signature = self.sign(&note, now_s);
        note.add(signature);
        Ok(note)
    }

    /// A checkpoint as a signed note.
    ///
    /// # Errors
    /// Its origin cannot stand in a note.
    pub fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<Note, MalformedNote> {
        self.note(checkpoint.to_string(), 0)
    }
}

#[cfg(test)]
mod tests {
    use policies::Digest;
    use policies::log::{CheckpointError, LogKeys};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn a_checkpoint_is_believed_by_its_log_and_enough_witnesses_alone() {
        let log = NoteSigner::of_notes("example.org/log", key(1)).unwrap();
        let witnesses = [2, 3].map(|seed| NoteSigner::of_cosignatures(&format!("witness-{seed}"), key(seed)).unwrap());
        let known = witnesses.iter().map(|witness| witness.verifier_key().clone()).collect::<Vec<_>>();
        let checkpoint = Checkpoint { origin: "example.org/log".to_owned(), size: 7, root: Digest::of(b"root") };
        let mut note = log.checkpoint(&checkpoint).unwrap();
        let of = |least| LogKeys::new(log.verifier_key().clone(), known.clone(), least).unwrap();
        let verify =
            |note: &Note, least| of(least).verify(note.to_string().as_bytes()).map(|it| it.checkpoint().clone());
        assert_eq!(verify(&note, 0), Ok(checkpoint.clone()));
        assert_eq!(verify(&note, 1), Err(CheckpointError::Witnesses));
        let cosignature = witnesses[0].sign(&note, 1_700_000_000);
        note.add(cosignature.clone());
        // The same line twice is one witness.
        note.add(cosignature.clone());
        assert_eq!(verify(&note, 1), Ok(checkpoint.clone()));
        assert_eq!(verify(&note, 2), Err(CheckpointError::Witnesses));
        // A later time than was signed.
        let mut forged = note.clone();
        let mut later = witnesses[1].sign(&note, 1_700_000_000);
        later.bytes[7] += 1;
        forged.add(later);
        assert_eq!(verify(&forged, 1), Err(CheckpointError::BadSignature));
        note.add(witnesses[1].sign(&note, 1));
        assert_eq!(verify(&note, 2), Ok(checkpoint));
    }

    #[test]
    fn what_one_kind_of_key_signs_is_nothing_of_the_other_kind() {
        let log = NoteSigner::of_notes("same", key(1)).unwrap();
        let witness = NoteSigner::of_cosignatures("same", key(1)).unwrap();
        assert_ne!(log.verifier_key().id(), witness.verifier_key().id());
        let checkpoint = Checkpoint { origin: "same".to_owned(), size: 1, root: Digest::of(b"root") };
        let keys = LogKeys::new(log.verifier_key().clone(), Vec::new(), 0).unwrap();
        let note = witness.checkpoint(&checkpoint).unwrap();
        assert_eq!(keys.verify(note.to_string().as_bytes()), Err(CheckpointError::Unsigned));
        assert_eq!(Note::of("cosignature/v1\ntime 1\n".to_owned()), Err(MalformedNote));
    }
}
