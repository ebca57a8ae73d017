// OPAQUE by @serenity-kit/opaque with its default stretching: register, log in, fail to.
import * as opaque from '@serenity-kit/opaque';
import { post, print, settings, succeed } from './siwa.mjs';

await opaque.ready;
const { tenant } = settings;
const accounts = '/v1/identity/accounts';

async function register(user, password) {
  const { clientRegistrationState, registrationRequest } = opaque.client.startRegistration({ password });
  const start = { tenant, user, message: registrationRequest };
  const { message: registrationResponse } = await succeed(`${accounts}/registration/start`, start);
  const finished = opaque.client.finishRegistration({ clientRegistrationState, registrationResponse, password });
  const finish = { tenant, user, message: finished.registrationRecord };
  return { registered: (await succeed(`${accounts}/registration/finish`, finish)).status, ...finished };
}

// What the client makes of the node's answer, and what the answer looks like to anyone.
async function startLogin(user, password) {
  const { clientLoginState, startLoginRequest } = opaque.client.startLogin({ password });
  const { headers, ...started } = await post(`${accounts}/login/start`, { tenant, user, message: startLoginRequest });
  const lengths = Object.entries(started).map(([name, value]) => [name, value.length ?? value]);
  const looks = JSON.stringify([lengths, [...headers.keys()].filter((name) => name !== 'date')]);
  const finished = opaque.client.finishLogin({ clientLoginState, loginResponse: started.message, password });
  return { login: started.login, looks, finished };
}

async function finish(login, message) {
  const { headers, ...answer } = await post(`${accounts}/login/finish`, { login, message, nonce: 'nonce-1' });
  return answer;
}

const { registered, exportKey, serverStaticPublicKey } = await register('ann', 'correct horse');
const ann = await startLogin('ann', 'correct horse');
const loggedIn = await finish(ann.login, ann.finished.finishLoginRequest);
const wrong = await startLogin('ann', 'wrong horse');
const nobody = await startLogin('nobody', 'correct horse');
const forged = await startLogin('ann', 'correct horse');
const otherKe3 = ann.finished.finishLoginRequest;
const refused = [await finish(forged.login, otherKe3), await finish(nobody.login, otherKe3)];

print({
  registered,
  loggedIn: loggedIn.status,
  assertion: loggedIn.assertion,
  sameExportKey: ann.finished.exportKey === exportKey,
  sameServer: ann.finished.serverStaticPublicKey === serverStaticPublicKey,
  wrongPasswordOpens: wrong.finished !== undefined,
  nobodyOpens: nobody.finished !== undefined,
  nobodyLooksAlike: nobody.looks === ann.looks && wrong.looks === ann.looks,
  refused: refused.map(({ status, type }) => [status, type]),
  refusedAlike: JSON.stringify(refused[0]) === JSON.stringify(refused[1]),
});
