// Forged and genuine JWTs as npm `jose` judges them, given the options that say the same as our profiles.
//
// The first line is {"sets":{name:JWKS}}; each further line is a case. The answer is a line: `accepts`, or `rejects` and why.
// A DPoP proof's claims are checked here by hand (RFC 9449 section 4.3); its header, key and signature by `jose`.

import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { EmbeddedJWK, createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';

const TOLERANCE = 30;
// RFC 9864 gives a second name to what RFC 8037 calls EdDSA; `jose` compares the names alone.
const sameAlgorithm = (one, other) => one === other || [one, other].every((name) => name === 'EdDSA' || name === 'Ed25519');

let sets;

async function jwt({ token, set, now, issuer, audience, algorithms, types, typeRequired, required, maxAge, subject }) {
  const header = decodeProtectedHeader(token);
  const keys = { keys: sets[set].keys.map((key) => (sameAlgorithm(key?.alg, header.alg) ? { ...key, alg: header.alg } : key)) };
  const issued = decodeJwt(token).iat !== undefined;
  const options = {
    algorithms, audience, issuer, subject, clockTolerance: TOLERANCE, currentDate: new Date(now * 1000), requiredClaims: required,
    maxTokenAge: issued || required.includes('iat') ? maxAge : undefined,
  };
  // `jose` compares with one type: each of ours is asked for in turn, and a missing one where that is allowed.
  const wanted = header.typ === undefined && !typeRequired ? [undefined] : types;
  const outcomes = await Promise.allSettled(wanted.map((typ) => jwtVerify(token, createLocalJWKSet(keys), { ...options, typ })));
  const accepted = outcomes.find(({ status }) => status === 'fulfilled');
  if (!accepted) throw outcomes[0].reason;
}

async function dpop({ token, now, method, url, accessToken }) {
  const header = decodeProtectedHeader(token);
  const key = (protectedHeader, jws) => EmbeddedJWK(
    sameAlgorithm(protectedHeader.jwk?.alg, header.alg)
      ? { ...protectedHeader, jwk: { ...protectedHeader.jwk, alg: header.alg } }
      : protectedHeader,
    jws,
  );
  const { payload } = await jwtVerify(token, key, {
    algorithms: ['ES256', 'EdDSA', 'Ed25519'], typ: 'dpop+jwt', clockTolerance: TOLERANCE, currentDate: new Date(now * 1000),
    requiredClaims: ['jti', 'htm', 'htu', 'iat'],
  });
  const bare = (text) => {
    const address = new URL(text);
    address.search = address.hash = '';
    return address.href.replace(/%[0-9a-f]{2}/gi, (escape) => {
      const character = String.fromCharCode(parseInt(escape.slice(1), 16));
      return /[A-Za-z0-9._~-]/.test(character) ? character : escape.toUpperCase();
    });
  };
  const expect = (name, holds) => { if (!holds) throw new Error(name); };
  expect('jti', typeof payload.jti === 'string' && payload.jti !== '' && Buffer.byteLength(payload.jti) <= 128);
  expect('htm', payload.htm === method);
  expect('htu', typeof payload.htu === 'string' && bare(payload.htu) === bare(url));
  expect('iat', typeof payload.iat === 'number');
  expect('nonce', payload.nonce === undefined || typeof payload.nonce === 'string');
  expect('time', payload.nonce !== undefined || (payload.iat >= now - 60 && payload.iat <= now + 10));
  const hash = accessToken && createHash('sha256').update(accessToken).digest('base64url');
  expect('ath', payload.ath === hash);
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  if (question.sets) {
    sets = question.sets;
    continue;
  }
  const answer = await (question.kind === 'dpop' ? dpop : jwt)(question).then(() => 'accepts', (error) => `rejects ${error.code ?? error.message}`);
  process.stdout.write(`${answer.replaceAll('\n', ' ')}\n`);
}
