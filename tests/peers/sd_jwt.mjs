// SD-JWT VC and status lists by @sd-jwt: it issues what the node checks, and checks what the node issues.
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import { StatusList, createHeaderAndPayload } from '@sd-jwt/jwt-status-list';
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc';
import { get, nextSettings, post, print, settings, succeed, text } from './siwa.mjs';

const type = 'urn:example:viewer:1';
const now = () => Math.floor(Date.now() / 1000);
const encoded = (value) => text(JSON.stringify(value));

const pairs = { ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }), EdDSA: generateKeyPairSync('ed25519') };
const holders = { ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }), EdDSA: generateKeyPairSync('ed25519') };
const digestOf = (alg) => (alg === 'ES256' ? 'sha256' : null);
const jwkOf = ({ publicKey }) => publicKey.export({ format: 'jwk' });
const signer = (alg, { privateKey: key }) => (data) =>
  text(sign(digestOf(alg), Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }));
const verifies = (data, signature, alg, jwk) => {
  const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
  return verify(digestOf(alg), Buffer.from(data), key, Buffer.from(signature, 'base64url'));
};
const algOf = (jwk) => (jwk.kty === 'EC' ? 'ES256' : 'EdDSA');

// An instance of the library for one issuer key, one holder key, and whoever verifies.
const instance = (alg, holderAlg = alg, verifier) =>
  new SDJwtVcInstance({
    hasher: (data, name) => createHash(name.replace('-', '')).update(Buffer.from(data)).digest(),
    hashAlg: 'sha-256',
    saltGenerator: (length) => text(randomBytes(length)),
    signer: signer(alg, pairs[alg]),
    signAlg: alg,
    kbSigner: signer(holderAlg, holders[holderAlg]),
    kbSignAlg: holderAlg,
    verifier,
    kbVerifier: (data, signature, { cnf: { jwk } }) => verifies(data, signature, algOf(jwk), jwk),
  });

// The status list: entry 1 is revoked, entry 2 suspended. Its origin is the issuer's.
const files = { cert: readFileSync(settings.certificate), key: readFileSync(settings.key) };
const server = createServer(files, (_, response) => {
  const list = new StatusList([0, 1, 2, 0], 2);
  const claims = { iss: issuer, sub: `${issuer}/statuses/1`, iat: now(), exp: now() + 3600, ttl: 600 };
  const signed = { alg: 'ES256', kid: 'ES256', typ: 'statuslist+jwt' };
  const { header, payload } = createHeaderAndPayload(list, claims, signed);
  const input = `${encoded(header)}.${encoded(payload)}`;
  response.setHeader('content-type', 'application/statuslist+jwt');
  response.end(`${input}.${signer('ES256', pairs.ES256)(input)}`);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `https://127.0.0.1:${server.address().port}`;
print({ issuer, type, jwks: { keys: Object.entries(pairs).map(([kid, pair]) => ({ ...jwkOf(pair), kid })) } });
await nextSettings();

// 1. This library issues and presents, the node checks.
async function checked(alg, holderAlg, { claims, status, show = ['age_over_18'], change } = {}) {
  const one = instance(alg, holderAlg);
  const always = { iss: issuer, vct: type, iat: now(), exp: now() + 3600, cnf: { jwk: jwkOf(holders[holderAlg]) } };
  const hidden = { age_over_18: true, subscriber_tier: 'premium', birthdate: '1990-01-01', ...claims };
  const frame = { _sd: Object.keys(hidden), _sd_decoy: 2 };
  const listed = status !== undefined && { status: { status_list: { idx: status, uri: `${issuer}/statuses/1` } } };
  const credential = await one.issue({ ...always, ...hidden, ...listed }, frame, { header: { kid: alg } });
  return check(one, credential, show, 'age_over_18', change);
}

async function check(one, credential, show, question, change = (shown) => shown) {
  const { nonce, audience } = await succeed('/v1/identity/challenges', { tenant: settings.tenant });
  const kb = { payload: { iat: now(), aud: audience, nonce } };
  const shown = await one.present(credential, Object.fromEntries(show.map((name) => [name, true])), { kb });
  const request = { tenant: settings.tenant, check: question, nonce, presentation: change(shown) };
  const { status, answer, type, detail } = await post('/v1/identity/credentials/check', request);
  return { status, answer, type, detail };
}

const flipped = (shown) => shown.slice(0, -2) + (shown.at(-2) === 'A' ? 'B' : 'A') + shown.at(-1);
const theirs = {
  es256: await checked('ES256', 'ES256'),
  eddsa: await checked('EdDSA', 'EdDSA'),
  mixed: await checked('ES256', 'EdDSA'),
  minor: await checked('EdDSA', 'ES256', { claims: { age_over_18: false } }),
  valid: await checked('ES256', 'ES256', { status: 0 }),
  revoked: await checked('ES256', 'ES256', { status: 1 }),
  suspended: await checked('EdDSA', 'EdDSA', { status: 2 }),
  notShown: await checked('ES256', 'ES256', { show: ['subscriber_tier'] }),
  forged: await checked('ES256', 'ES256', { change: flipped }),
};

// 2. The node issues; this library verifies by the node's published keys, presents, verifies that, and the node checks.
const published = await (await get('/.well-known/jwt-vc-issuer')).json();
const verifierFor = (header) => (data, signature) =>
  verifies(data, signature, header.alg, published.jwks.keys.find(({ kid }) => kid === header.kid));
const headerOf = (credential) => JSON.parse(Buffer.from(credential.split('.')[0], 'base64url'));

async function issued(holderAlg) {
  const { nonce, audience } = await succeed('/v1/identity/challenges', { tenant: settings.tenant });
  const header = { alg: holderAlg, typ: 'openid4vci-proof+jwt', jwk: jwkOf(holders[holderAlg]) };
  const input = `${encoded(header)}.${encoded({ aud: audience, iat: now(), nonce })}`;
  const proof = `${input}.${signer(holderAlg, holders[holderAlg])(input)}`;
  const { credential } = await succeed('/v1/identity/credentials', { proof }, `Bearer ${settings.access}`);
  const one = instance('EdDSA', holderAlg, verifierFor(headerOf(credential)));
  const whole = await one.verify(credential);
  const kb = { payload: { iat: now(), aud: 'https://verifier.example', nonce: 'nonce-2' } };
  const shown = await one.present(credential, { subscriber_tier: true }, { kb });
  const part = await one.verify(shown, { keyBindingNonce: 'nonce-2' });
  const { iss, vct, age_over_18, subscriber_tier } = whole.payload;
  return {
    header: { alg: whole.header.alg, typ: whole.header.typ },
    claims: { iss, vct, age_over_18, subscriber_tier },
    named: iss === published.issuer,
    holder: isDeepStrictEqual(whole.payload.cnf.jwk, header.jwk),
    shown: [part.payload.age_over_18 ?? null, part.payload.subscriber_tier, part.kb.payload.aud],
    checked: await check(one, credential, ['age_over_18'], 'age_over_18'),
  };
}
const ours = { es256: await issued('ES256'), eddsa: await issued('EdDSA') };

// 3. A presentation that Siwa's own holder made.
const whole = instance('EdDSA', 'EdDSA', verifierFor(headerOf(settings.presented)));
const { payload, kb } = await whole.verify(settings.presented, { keyBindingNonce: 'nonce-3' });
const presented = [payload.age_over_18, payload.subscriber_tier ?? null, kb.payload.aud];
print({ theirs, ours, presented });
server.close();
server.closeAllConnections();
