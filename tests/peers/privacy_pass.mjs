// Privacy Pass by @cloudflare/privacypass-ts: directory, challenge, issuance one by one and in a batch, redemption.
import {
  AuthorizationHeader,
  MediaType,
  PRIVATE_TOKEN_ISSUER_DIRECTORY,
  TOKEN_TYPES,
  WWWAuthenticateHeader,
  genericBatched,
  getIssuerUrl,
  privateVerif,
  publicVerif,
  sendTokenRequest,
} from '@cloudflare/privacypass-ts';
import { bytes, get, print, redeemTwice, settings, text } from './siwa.mjs';

// The library finds the issuer by its name, which a resolver would point to the node.
const fetchByAddress = globalThis.fetch;
globalThis.fetch = (url, options) => fetchByAddress(String(url).replace(settings.issuer, settings.url), options);

const authorized = () => new Headers({ authorization: `Bearer ${settings.access}` });
const { PSS } = publicVerif.BlindRSAMode;
const client = (type) => (type === 1 ? new privateVerif.Client() : new publicVerif.Client(PSS));
const redeem = (token, quoted) => redeemTwice(new AuthorizationHeader(token).toString(quoted));

const answer = await get(`/v1/identity/tokens/challenge?tenant=${settings.tenant}`);
const offers = WWWAuthenticateHeader.parse(answer.headers.get('www-authenticate'));
const offer = (type) => offers.find(({ challenge }) => challenge.tokenType === type);
const issuerUrl = await getIssuerUrl(offers[0].challenge.issuerName);

const listed = await get(PRIVATE_TOKEN_ISSUER_DIRECTORY);
const { 'token-keys': keys } = await listed.json();
const published = (type) => keys.find((key) => key['token-type'] === type)['token-key'];

async function issueOne(type) {
  const { challenge, tokenKey } = offer(type);
  const one = client(type);
  const request = await one.createTokenRequest(challenge, tokenKey);
  const response = await sendTokenRequest(request.serialize(), issuerUrl, authorized());
  return one.finalize(one.deserializeTokenResponse(response));
}

async function issueBatch(types) {
  const clients = types.map(client);
  const requests = [];
  for (const [at, one] of clients.entries()) {
    const { challenge, tokenKey } = offer(types[at]);
    requests.push(new genericBatched.TokenRequest(await one.createTokenRequest(challenge, tokenKey)));
  }
  const batch = new genericBatched.Client();
  const headers = authorized();
  headers.set('content-type', MediaType.GENERIC_BATCHED_TOKEN_REQUEST);
  const body = batch.createTokenRequest(requests).serialize();
  const response = await fetch(issuerUrl, { method: 'POST', headers, body });
  if (response.status !== 200) throw new Error(await response.text());
  const { tokenResponses } = batch.deserializeTokenResponse(new Uint8Array(await response.arrayBuffer()));
  const tokens = await Promise.all(clients.map((one, at) => one.finalize(tokenResponses[at].tokenResponse)));
  return { mediaType: response.headers.get('content-type'), tokens };
}

const [voprf, blindRsa] = [await issueOne(1), await issueOne(2)];
const spki = publicVerif.convertRSASSAPSSToEnc(offer(2).tokenKey);
const rsa = { name: 'RSA-PSS', hash: 'SHA-384' };
const rsaKey = await crypto.subtle.importKey('spki', spki, rsa, true, ['verify']);
const { mediaType, tokens: batch } = await issueBatch([1, 1, 1]);
const { tokens: mixed } = await issueBatch([2, 1]);
const forged = await issueOne(1);
forged.authenticator[0] ^= 1;

const redeemed = [];
for (const token of [voprf, blindRsa, ...batch, ...mixed]) redeemed.push(await redeem(token, true));
redeemed.push(await redeem(await issueOne(2), false));
print({
  challenge: answer.status,
  offered: offers.map(({ challenge }) => [challenge.tokenType, challenge.issuerName, ...challenge.originInfo]),
  contexts: offers.map(({ challenge }) => challenge.redemptionContext.length),
  issuerUrl,
  directory: listed.headers.get('content-type'),
  keysAgree: [1, 2].every((type) => text(bytes(published(type))) === text(offer(type).tokenKey)),
  verifiesPublicly: await new publicVerif.Origin(PSS).verify(blindRsa, rsaKey),
  types: [voprf, blindRsa].map((token) => token.authInput.tokenType),
  names: [TOKEN_TYPES.VOPRF.name, TOKEN_TYPES.BLIND_RSA.name],
  batchMediaType: mediaType,
  redeemed,
  forged: (await redeem(forged, true)).status,
});
