// The whole client of a private list by @noble/curves: blind, verify the proof, finalise, look into the bucket.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { ristretto255_oprf } from '@noble/curves/ed25519.js';
import { bytes, get, post, print, settings, text } from './siwa.mjs';

const lists = `/v1/content/lists/${settings.tenant}/${settings.list}`;
const { voprf } = ristretto255_oprf;
const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest();
const u32 = (number) => { const four = Buffer.alloc(4); four.writeUInt32BE(number); return four; };

// The manifest, by the key that the operator published.
const token = await (await get(`${lists}/manifest`)).text();
const [head, claims, signature] = token.split('.');
const jwk = await (await get(`${lists}/key`)).json();
const signed = verify(null, Buffer.from(`${head}.${claims}`), createPublicKey({ key: jwk, format: 'jwk' }), bytes(signature));
const manifest = JSON.parse(Buffer.from(bytes(claims)));

// A bucket, by its path to the manifest's root.
async function bucketOf(clip) {
  const hash = sha256(Buffer.from('bucket-v1'), clip);
  const number = hash.readUInt16BE(0) >> (16 - manifest.bits);
  const response = await get(`${lists}/epochs/${manifest.epoch}/buckets/${number}`);
  const body = Buffer.from(await response.arrayBuffer());
  const tags = body.subarray(0, manifest.slots * manifest.tag_bytes);
  let digest = sha256(Buffer.from([0]), u32(number), tags);
  for (let level = 0, at = tags.length; level < manifest.bits; level += 1, at += 32) {
    const sibling = body.subarray(at, at + 32);
    const pair = (number >> level) % 2 === 0 ? [digest, sibling] : [sibling, digest];
    digest = sha256(Buffer.from([1]), ...pair);
  }
  return { tags, verified: digest.toString('hex') === manifest.root, length: body.length, etag: response.headers.get('etag') };
}

const holds = (tags, output) => {
  const tag = Buffer.from(output).subarray(0, manifest.tag_bytes);
  for (let at = 0; at < tags.length; at += tag.length) if (tags.subarray(at, at + tag.length).equals(tag)) return true;
  return false;
};

const key = bytes(manifest.key);
const clips = settings.clips.map((clip) => Buffer.from(clip));
const blinds = clips.map((clip) => voprf.blind(clip));
const evaluate = (elements, authorization, epoch = manifest.epoch) =>
  post(`${lists}/evaluations`, { epoch, elements: elements.map(text) }, authorization);
const answer = await evaluate(blinds.map(({ blinded }) => blinded), settings.authorization);
const evaluated = answer.elements.map(bytes);
const proof = bytes(answer.proof);
const items = clips.map((input, at) => ({
  input, blind: blinds[at].blind, evaluated: evaluated[at], blinded: blinds[at].blinded,
}));
const outputs = voprf.finalizeBatch(items, key, proof);

const attempt = (work) => { try { work(); return 'accepted'; } catch { return 'refused'; } };
const changed = proof.slice();
changed[0] ^= 1;
const otherKey = voprf.generateKeyPair().publicKey;
const buckets = await Promise.all(clips.map(bucketOf));
const again = await evaluate([blinds[0].blinded], settings.authorization);
const none = await evaluate([blinds[0].blinded]);

print({
  signed,
  status: answer.status,
  listed: outputs.map((output, at) => holds(buckets[at].tags, output)),
  verified: buckets.map(({ verified }) => verified),
  lengths: [...new Set(buckets.map(({ length }) => length))].length,
  changedProof: attempt(() => voprf.finalizeBatch(items, key, changed)),
  otherKey: attempt(() => voprf.finalizeBatch(items, otherKey, proof)),
  again: [again.status, again.type],
  none: [none.status, none.type],
});
