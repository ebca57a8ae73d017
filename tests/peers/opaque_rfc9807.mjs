// OPAQUE-3DH written anew from RFC 9807 on @noble/curves: ristretto255-SHA512, HKDF and HMAC with SHA-512.
import { ristretto255, ristretto255_oprf } from '@noble/curves/ed25519.js';
import { argon2id } from '@noble/hashes/argon2.js';
import { expand, extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concatBytes as concat, randomBytes } from '@noble/hashes/utils.js';
import { bytes, post, print, settings, succeed, text } from './siwa.mjs';

const { oprf } = ristretto255_oprf;
const utf8 = (string) => new TextEncoder().encode(string);
const vector = (value) => concat(new Uint8Array([value.length >> 8, value.length & 255]), value);
const hkdf = (key, info, length = 64) => expand(sha512, key, info, length);
const mac = (key, message) => hmac(sha512, key, message);
const equal = (one, other) => text(one) === text(other);

// RFC 9807 §4.1.1, with the stretching of the other client's tests: the node never sees it.
function randomizedPassword(oprfOutput) {
  const stretched = argon2id(oprfOutput, new Uint8Array(16), { m: 8, t: 1, p: 1, dkLen: 64 });
  return extract(sha512, concat(oprfOutput, stretched), new Uint8Array(0));
}

// §4.1.2, §4.1.3: keys and tag of the envelope with this nonce. Identities are the public keys (§4).
function openEnvelope(password, nonce, serverPublic) {
  const key = (label, length) => hkdf(password, concat(nonce, utf8(label)), length);
  const pair = oprf.deriveKeyPair(key('PrivateKey', 32), utf8('OPAQUE-DeriveDiffieHellmanKeyPair'));
  const cleartext = concat(serverPublic, vector(serverPublic), vector(pair.publicKey));
  return { pair, tag: mac(key('AuthKey', 64), concat(nonce, cleartext)), exportKey: key('ExportKey', 64) };
}

// §6.4.1
function diffieHellman(secret, publicKey) {
  const scalar = ristretto255.Point.Fn.fromBytes(secret);
  return ristretto255.Point.fromBytes(publicKey).multiply(scalar).toBytes();
}

// §6.4.2.2
function expandLabel(secret, label, context) {
  const name = utf8(`OPAQUE-${label}`);
  return hkdf(secret, concat(new Uint8Array([0, 64, name.length]), name, new Uint8Array([context.length]), context));
}

const { tenant } = settings;
const accounts = '/v1/identity/accounts';

async function register(user, password) {
  const { blind, blinded } = oprf.blind(utf8(password));
  const started = await succeed(`${accounts}/registration/start`, { tenant, user, message: text(blinded) });
  const response = bytes(started.message);
  const [evaluated, serverPublic] = [response.slice(0, 32), response.slice(32)];
  const randomized = randomizedPassword(oprf.finalize(utf8(password), blind, evaluated));
  const nonce = randomBytes(32);
  const { pair, tag, exportKey } = openEnvelope(randomized, nonce, serverPublic);
  const record = concat(pair.publicKey, hkdf(randomized, utf8('MaskingKey')), nonce, tag);
  const finished = await succeed(`${accounts}/registration/finish`, { tenant, user, message: text(record) });
  return { registered: finished.status, exportKey };
}

// §6.2: KE1, KE2, KE3. Undefined where the client finds that the password or the server is wrong.
async function login(user, password) {
  const { blind, blinded } = oprf.blind(utf8(password));
  const share = oprf.generateKeyPair();
  const ke1 = concat(blinded, randomBytes(32), share.publicKey);
  const started = await succeed(`${accounts}/login/start`, { tenant, user, message: text(ke1) });
  const ke2 = bytes(started.message);
  const part = (from, to) => ke2.slice(from, to);
  const [evaluated, maskingNonce, masked] = [part(0, 32), part(32, 64), part(64, 192)];
  const [serverShare, serverMac] = [part(224, 256), part(256, 320)];
  // §6.3.2.3: the envelope under its mask.
  const randomized = randomizedPassword(oprf.finalize(utf8(password), blind, evaluated));
  const pad = hkdf(hkdf(randomized, utf8('MaskingKey')), concat(maskingNonce, utf8('CredentialResponsePad')), 128);
  const opened = masked.map((byte, at) => byte ^ pad[at]);
  const [serverPublic, nonce, tag] = [opened.slice(0, 32), opened.slice(32, 64), opened.slice(64)];
  const envelope = openEnvelope(randomized, nonce, serverPublic);
  if (!equal(envelope.tag, tag)) return undefined;
  // §6.4.3: three times Diffie-Hellman, over everything that was said.
  const ikm = concat(
    diffieHellman(share.secretKey, serverShare),
    diffieHellman(share.secretKey, serverPublic),
    diffieHellman(envelope.pair.secretKey, serverShare),
  );
  const context = new Uint8Array(0);
  const clientIdentity = vector(envelope.pair.publicKey);
  const preamble = concat(utf8('OPAQUEv1-'), vector(context), clientIdentity, ke1, vector(serverPublic), part(0, 256));
  const handshake = expandLabel(extract(sha512, ikm, new Uint8Array(0)), 'HandshakeSecret', sha512(preamble));
  const expectedMac = mac(expandLabel(handshake, 'ServerMAC', context), sha512(preamble));
  if (!equal(expectedMac, serverMac)) return undefined;
  const ke3 = mac(expandLabel(handshake, 'ClientMAC', context), sha512(concat(preamble, expectedMac)));
  const finish = { login: started.login, message: text(ke3), nonce: 'nonce-1' };
  return { ...(await post(`${accounts}/login/finish`, finish)), exportKey: envelope.exportKey };
}

const { registered, exportKey } = await register('bob', 'correct horse');
const loggedIn = await login('bob', 'correct horse');
print({
  registered,
  loggedIn: loggedIn?.status,
  assertion: loggedIn?.assertion,
  sameExportKey: loggedIn !== undefined && equal(loggedIn.exportKey, exportKey),
  wrongPasswordOpens: (await login('bob', 'wrong horse')) !== undefined,
  nobodyOpens: (await login('nobody', 'correct horse')) !== undefined,
});
