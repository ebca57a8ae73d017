// A token of type 0x0001 (RFC 9578 §5) by hand, with the VOPRF of @cloudflare/voprf-ts: P384-SHA384.
import { DLEQProof, Evaluation, Oprf, VOPRFClient } from '@cloudflare/voprf-ts';
import { bytes, get, print, redeemTwice, settings, text } from './siwa.mjs';

const suite = Oprf.Suite.P384_SHA384;
const group = Oprf.getGroup(suite);
const [elementBytes, scalarBytes] = [group.eltSize(), group.scalarSize()];
const sha256 = async (data) => new Uint8Array(await crypto.subtle.digest('SHA-256', data));

// The challenge of this type as the node offers it, and the key.
const offered = await get(`/v1/identity/tokens/challenge?tenant=${settings.tenant}`);
const parameters = [...offered.headers.get('www-authenticate').matchAll(/challenge="([^"]+)", token-key="([^"]+)"/g)];
const pairs = parameters.map(([, challenge, key]) => ({ challenge: bytes(challenge), key: bytes(key) }));
const { challenge, key } = pairs.find(({ challenge }) => challenge[0] === 0 && challenge[1] === 1);

const keyId = await sha256(key);
const nonce = crypto.getRandomValues(new Uint8Array(32));
const input = Buffer.concat([Buffer.from([0, 1]), nonce, await sha256(challenge), keyId]);

const client = new VOPRFClient(suite, key);
const [pending, { blinded }] = await client.blind([new Uint8Array(input)]);
const request = Buffer.concat([Buffer.from([0, 1, keyId[31]]), blinded[0].serialize()]);
const response = await fetch(`${settings.url}/v1/identity/tokens`, {
  method: 'POST',
  headers: { 'content-type': 'application/private-token-request', authorization: `Bearer ${settings.access}` },
  body: request,
});
const issued = new Uint8Array(await response.arrayBuffer());
const evaluation = (proofBytes) => {
  const proof = DLEQProof.deserialize(group.id, proofBytes);
  return new Evaluation(Oprf.Mode.VOPRF, [group.desElt(issued.slice(0, elementBytes))], proof);
};

// The proof is of the published key: a changed one, or one for another key, is refused by the library.
const proof = issued.slice(elementBytes);
const [authenticator] = await client.finalize(pending, evaluation(proof));
const changed = proof.slice();
changed[scalarBytes - 1] ^= 1;
const refusal = (promise) => promise.then(() => 'accepted', () => 'refused');
const otherKey = group.mulGen(group.desScalar(new Uint8Array(scalarBytes).fill(1))).serialize(true);
const token = Buffer.concat([input, authenticator]);

print({
  issued: [response.status, response.headers.get('content-type'), issued.length],
  authenticatorBytes: authenticator.length,
  changedProof: await refusal(client.finalize(pending, evaluation(changed))),
  otherKey: await refusal(new VOPRFClient(suite, otherKey).finalize(pending, evaluation(proof))),
  redeemed: await redeemTwice(`PrivateToken token="${text(token)}"`),
});
