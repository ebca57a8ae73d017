//! Private lists: one yes or no about one clip, from which neither side learns more.
//!
//! Who evaluates and who serves the bucket are asked by ways of their own: together, and at one time, they would know an
//! address and 16 bits of the clip. Nothing of a list is asked by any other way: who hides an address hides all of it.

use attest::VerifyingKey;
use attest::content::list::{
    Bucket, ELEMENT_BYTES, Evaluation, Geometry, Identifier, ListExpectation, ListManifest, ListName, PROOF_BYTES,
    PendingCheck,
};
use attest::keys::Jwk;
use attest::privacy_pass::{Token, header};
use serde::{Deserialize, Serialize};

use super::{IdentityClient, IdentityClientError, Way, bytes_of, text_of};
use crate::client::ClientError;

/// What a device knows of a list beforehand. Without a key, the node's word is taken for it.
#[derive(Default)]
pub(crate) struct ListTrust {
    /// The key that signs the list's manifests, as the operator published it elsewhere.
    pub(crate) key: Option<VerifyingKey>,
    /// The lowest epoch that is believed: the last one that was seen.
    pub(crate) epoch_min: u64,
}

/// A list whose manifest was verified.
pub(crate) struct PrivateList {
    pub(crate) manifest: ListManifest,
    geometry: Geometry,
    path: String,
}

/// A clip with its bucket, verified: what remains is an evaluation, which costs a token.
pub(crate) struct ListQuestion {
    identifier: Identifier,
    bucket: Bucket,
}

/// `POST …/evaluations`
#[derive(Serialize)]
struct Ask {
    epoch: u64,
    elements: [String; 1],
}

#[derive(Deserialize)]
struct Evaluated {
    epoch: u64,
    elements: Vec<String>,
    proof: String,
}

impl IdentityClient {
    /// A list of this device's platform, by its manifest, which comes by the way of the buckets. A key that is not known
    /// beforehand comes by the way of the evaluations: who evaluates is the node, and a cache could name any key.
    ///
    /// # Errors
    /// A call that was refused, or a manifest that is not what is known of the list.
    pub(crate) async fn list(
        &self,
        list: &ListName,
        trust: &ListTrust,
        (buckets, evaluations): (&Way<'_>, &Way<'_>),
    ) -> Result<PrivateList, IdentityClientError> {
        let path = format!("/v1/content/lists/{}/{list}", self.tenant);
        let key = match trust.key {
            Some(key) => key,
            None => {
                let jwk: Jwk = evaluations.get(&format!("{path}/key")).await?.json()?;
                VerifyingKey::try_from(&jwk).map_err(|_| ClientError::AnswerForm)?
            }
        };
        let answer = buckets.get(&format!("{path}/manifest")).await?;
        let token = std::str::from_utf8(&answer.body).map_err(|_| ClientError::AnswerForm)?;
        let expected = ListExpectation { tenant: &self.tenant, list, epoch_min: trust.epoch_min, last: None };
        let manifest = ListManifest::verify(token, &key, &expected, self.environment.clock.now_ms())?;
        // Of a manifest that was verified, and so never.
        let geometry = manifest.geometry().map_err(|_| ClientError::AnswerForm)?;
        Ok(PrivateList { manifest, geometry, path })
    }

    /// The bucket in which a clip stands if it is in the list. Spends nothing: it is had before a token is shown.
    ///
    /// # Errors
    /// A call that was refused, or a bucket that the manifest does not commit to.
    pub(crate) async fn list_question(
        &self,
        list: &PrivateList,
        identifier: Identifier,
        buckets: &Way<'_>,
    ) -> Result<ListQuestion, IdentityClientError> {
        let PrivateList { manifest, geometry, path } = list;
        let number = geometry.bucket(&identifier);
        let bytes = buckets.get(&format!("{path}/epochs/{}/buckets/{number}", manifest.epoch)).await?.body;
        let bucket = Bucket::verify(&bytes, geometry, number, &manifest.root)?;
        Ok(ListQuestion { identifier, bucket })
    }

    /// Whether a clip stands in a list. Spends the token.
    ///
    /// # Errors
    /// A call that was refused, or an evaluation whose proof does not verify.
    pub(crate) async fn is_listed(
        &self,
        list: &PrivateList,
        question: ListQuestion,
        token: &Token,
        evaluations: &Way<'_>,
    ) -> Result<bool, IdentityClientError> {
        let (PrivateList { manifest, path, .. }, ListQuestion { identifier, bucket }) = (list, question);
        // 1. The evaluation, of what says nothing, in this epoch.
        let (elements, pending) = PendingCheck::new(vec![identifier], &mut self.environment.rng()?)?;
        let ask = Ask { epoch: manifest.epoch, elements: [text_of(&elements[0])] };
        let authorization = header::format_authorization(token);
        let answer = evaluations.post(&format!("{path}/evaluations"), Some(&authorization), &ask).await?;
        let evaluated: Evaluated = answer.json()?;
        if evaluated.epoch != manifest.epoch {
            return Err(ClientError::AnswerForm.into());
        }
        // 2. Its proof, by the key that the manifest commits to, 3. and whether the tag is in the bucket.
        let tags = pending.finalize(&evaluation(&evaluated)?, &manifest.key)?;
        Ok(tags.iter().any(|tag| bucket.holds(tag)))
    }
}

fn evaluation(evaluated: &Evaluated) -> Result<Evaluation, IdentityClientError> {
    let element = |text: &String| -> Result<[u8; ELEMENT_BYTES], IdentityClientError> {
        bytes_of(text)?.try_into().map_err(|_| ClientError::AnswerForm.into())
    };
    let elements = evaluated.elements.iter().take(2).map(element).collect::<Result<_, _>>()?;
    let proof: [u8; PROOF_BYTES] = bytes_of(&evaluated.proof)?.try_into().map_err(|_| ClientError::AnswerForm)?;
    Ok(Evaluation { elements, proof })
}

#[cfg(test)]
pub(crate) mod tests;
