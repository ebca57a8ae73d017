//! The client's half: blind, wait, verify the proof, unblind.

use rand_core::CryptoRng;
use voprf::{EvaluationElement, Proof, VoprfClient};

use super::bucket::Tag;
use super::{BATCH_ELEMENTS_MAX, ELEMENT_BYTES, Evaluation, Identifier, ListPublicKey, Suite};
use crate::randomness::Rng06;

/// Why a check comes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// No identifier, or more than [`BATCH_ELEMENTS_MAX`].
    #[error("a call asks for 1 to {BATCH_ELEMENTS_MAX} identifiers")]
    Count,
    /// An identifier cannot be blinded: it hashes to the identity, which nobody finds.
    #[error("the identifier cannot be blinded")]
    Blind,
    /// Not as many elements came back as were sent.
    #[error("the answer has another number of elements than the question")]
    Answers,
    /// What came back is no element, or the proof no two scalars.
    #[error("the answer holds something that is no element or no proof")]
    Element,
    /// The proof does not verify: another key was used than the manifest's.
    #[error("the proof does not verify under the manifest's key")]
    Proof,
}

/// Identifiers that were sent and not yet answered. Holds the blinding factors: no `Debug`, no `Clone`, good for one
/// answer, erased when dropped.
pub struct PendingCheck {
    identifiers: Vec<Identifier>,
    clients: Vec<VoprfClient<Suite>>,
}

impl PendingCheck {
    /// Blinds the identifiers (RFC 9497 §3.3.2, Blind): the elements to be sent, in order.
    ///
    /// # Errors
    /// [`CheckError::Count`] or [`CheckError::Blind`].
    pub fn new(
        identifiers: Vec<Identifier>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<[u8; ELEMENT_BYTES]>, Self), CheckError> {
        if !(1..=BATCH_ELEMENTS_MAX).contains(&identifiers.len()) {
            return Err(CheckError::Count);
        }
        let mut elements = Vec::with_capacity(identifiers.len());
        let mut clients = Vec::with_capacity(identifiers.len());
        for identifier in &identifiers {
            let blind = VoprfClient::<Suite>::blind(identifier.as_bytes(), &mut Rng06(rng));
            let blind = blind.map_err(|_| CheckError::Blind)?;
            elements.push(blind.message.serialize().into());
            clients.push(blind.state);
        }
        Ok((elements, Self { identifiers, clients }))
    }

    /// The tags of the identifiers, in order (RFC 9497 §3.3.2, Finalize).
    ///
    /// # Errors
    /// [`CheckError::Answers`], [`CheckError::Element`] or [`CheckError::Proof`], in this order.
    pub fn finalize(self, evaluation: &Evaluation, key: &ListPublicKey) -> Result<Vec<Tag>, CheckError> {
        // 1. As many answers as questions.
        if evaluation.elements.len() != self.identifiers.len() {
            return Err(CheckError::Answers);
        }
        // 2. Each an element in its one encoding, not the identity; the proof two scalars.
        let elements = evaluation.elements.iter().map(|bytes| EvaluationElement::<Suite>::deserialize(bytes));
        let elements: Vec<_> = elements.collect::<Result<_, _>>().map_err(|_| CheckError::Element)?;
        let proof = Proof::<Suite>::deserialize(&evaluation.proof).map_err(|_| CheckError::Element)?;
        // 3. One proof for all, under the committed key.
        let inputs: Vec<_> = self.identifiers.iter().map(Identifier::as_bytes).collect();
        let outputs = VoprfClient::batch_finalize(&inputs, &self.clients, &elements, &proof, key.element());
        // 4. Unblinded.
        let outputs = outputs.map_err(|_| CheckError::Proof)?;
        outputs.map(|output| output.map(|output| Tag::of_output(&output)).map_err(|_| CheckError::Proof)).collect()
    }
}
