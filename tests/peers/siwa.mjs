// The node under test as a peer sees it: where it is, calls over HTTPS, and one line of JSON at the end.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));

// What the test has to say after the script has printed a line.
export async function nextSettings() {
  for await (const line of createInterface({ input: process.stdin })) return Object.assign(settings, JSON.parse(line));
}

export const print = (value) => process.stdout.write(JSON.stringify(value) + '\n');

export const text = (bytes) => Buffer.from(bytes).toString('base64url');
export const bytes = (base64url) => new Uint8Array(Buffer.from(base64url, 'base64url'));

export async function get(path) {
  return fetch(settings.url + path);
}

export async function post(path, json, authorization) {
  const headers = { 'content-type': 'application/json', ...(authorization && { authorization }) };
  const response = await fetch(settings.url + path, { method: 'POST', headers, body: JSON.stringify(json) });
  const body = await response.text();
  return { status: response.status, headers: response.headers, ...(body && JSON.parse(body)) };
}

export async function succeed(path, json, authorization) {
  const answer = await post(path, json, authorization);
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.type}: ${answer.detail}`);
  return answer;
}

// A token's first redemption, and its second, as the test compares them.
export async function redeemTwice(authorization) {
  const once = await post('/v1/identity/tokens/redeem', { nonce: 'nonce-1' }, authorization);
  const twice = await post('/v1/identity/tokens/redeem', { nonce: 'nonce-1' }, authorization);
  return { status: once.status, answer: once.answer, again: [twice.status, twice.type] };
}
