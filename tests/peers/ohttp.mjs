// Oblivious HTTP (RFC 9458) written on @hpke/core, around binary HTTP by bhttp-js.
import { createDecipheriv, hkdfSync } from 'node:crypto';
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { BHttpDecoder, BHttpEncoder } from 'bhttp-js';
import { get, print, settings } from './siwa.mjs';

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });
const utf8 = (string) => new TextEncoder().encode(string);
const gateway = '/.well-known/ohttp-gateway';

const listed = await get(gateway);
const configs = Buffer.from(await listed.arrayBuffer());
// RFC 9458 §3.2: length, key id, KEM, public key (32), length of suites, KDF, AEAD.
const [keyId, publicKey] = [configs[2], configs.subarray(5, 37)];
const header = Buffer.concat([Buffer.from([keyId]), configs.subarray(3, 5), configs.subarray(39, 43)]);
const recipientPublicKey = await suite.kem.deserializePublicKey(new Uint8Array(publicKey));

// §4.3: the request under a fresh key; §4.4: the answer under a key that only its sender knows.
async function oblivious(request, tamper = (message) => message) {
  const info = Buffer.concat([utf8('message/bhttp request\0'), header]);
  const sender = await suite.createSenderContext({ recipientPublicKey, info: new Uint8Array(info) });
  const plain = new Uint8Array(await new BHttpEncoder().encodeRequest(request));
  const enc = Buffer.from(sender.enc);
  const sealed = tamper(Buffer.concat([header, enc, Buffer.from(await sender.seal(plain))]));
  const headers = { 'content-type': 'message/ohttp-req' };
  const outer = await fetch(settings.url + gateway, { method: 'POST', headers, body: sealed });
  const message = Buffer.from(await outer.arrayBuffer());
  if (outer.status !== 200) return { outer: outer.status, type: JSON.parse(message).type };
  const [nonce, ciphertext, tag] = [message.subarray(0, 16), message.subarray(16, -16), message.subarray(-16)];
  const secret = Buffer.from(await sender.export(utf8('message/bhttp response'), 16));
  const salt = Buffer.concat([enc, nonce]);
  const derive = (label, length) => Buffer.from(hkdfSync('sha256', secret, salt, label, length));
  const aead = createDecipheriv('aes-128-gcm', derive('key', 16), derive('nonce', 12)).setAuthTag(tag);
  const opened = Buffer.concat([aead.update(ciphertext), aead.final()]);
  const inner = new BHttpDecoder().decodeResponse(new Uint8Array(opened));
  const mediaType = outer.headers.get('content-type');
  return { outer: outer.status, mediaType, bytes: message.length, status: inner.status, ...(await inner.json()) };
}

function inner(path, json, authorization) {
  const headers = { 'content-type': 'application/json', ...(authorization && { authorization }) };
  return new Request(settings.issuer + path, { method: 'POST', headers, body: JSON.stringify(json) });
}

const redeem = () => inner('/v1/identity/tokens/redeem', { nonce: 'nonce-1' }, settings.authorization);
const challenge = () => inner('/v1/identity/challenges', { tenant: settings.tenant });
const flip = (at) => (message) => ((message[at] ^= 1), message);
print({
  keys: listed.headers.get('content-type'),
  config: [configs.length, configs.readUInt16BE(0), header.subarray(1).toString('hex')],
  challenge: await oblivious(challenge()),
  redeemed: await oblivious(redeem()),
  again: await oblivious(redeem()),
  notInside: await oblivious(inner('/v1/identity/invites', {}, `Bearer ${settings.apiKey}`)),
  changed: await oblivious(challenge(), flip(59)),
  otherKey: await oblivious(challenge(), flip(0)),
});
