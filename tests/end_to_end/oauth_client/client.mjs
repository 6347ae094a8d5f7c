// A stock OAuth client, strict about what it is answered: the package `oauth4webapi` and nothing of ours.
//
//   node client.mjs keys                      prints private keys as JWKs, one for each algorithm of an assertion
//   node client.mjs SCENARIO <<< SETUP        exits non-zero, with the difference, when an answer is not as it should be
//
// SETUP is a JSON object: `issuer`; `clients`, each with `id` and `secret`, by what they are for; `keys`, as printed; `provider`,
// an OpenID provider's issuer; `audiences`; `tool`, the address of an MCP server.

import assert from 'node:assert/strict';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { text } from 'node:stream/consumers';
import * as oauth from 'oauth4webapi';

const insecure = { [oauth.allowInsecureRequests]: true };
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TYPE = 'urn:ietf:params:oauth:token-type:';
const AUTHENTICATION = {
  basic: oauth.ClientSecretBasic,
  post: oauth.ClientSecretPost,
};

const KEYS = [
  ['ES256', 'ec', { namedCurve: 'P-256' }],
  ['ES384', 'ec', { namedCurve: 'P-384' }],
  ['RS256', 'rsa', { modulusLength: 2048 }],
  ['PS256', 'rsa', { modulusLength: 2048 }],
  ['Ed25519', 'ed25519', {}],
];

function keys() {
  return KEYS.map(([alg, type, options]) => {
    const { privateKey } = generateKeyPairSync(type, options);
    return { ...privateKey.export({ format: 'jwk' }), alg, kid: alg };
  });
}

const ALGORITHMS = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  ES384: { name: 'ECDSA', namedCurve: 'P-384' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  Ed25519: { name: 'Ed25519' },
};

async function signer({ alg, kid, ...jwk }) {
  const key = await webcrypto.subtle.importKey('jwk', jwk, ALGORITHMS[alg], false, ['sign']);
  return oauth.PrivateKeyJwt({ key, kid });
}

// What every scenario begins with: the metadata, as found from the identifier alone, and who asks.
async function discover(setup) {
  const issuer = new URL(setup.issuer);
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  return oauth.processDiscoveryResponse(issuer, response);
}

function party(setup, name) {
  const { id, secret } = setup.clients[name];
  return { client: { client_id: id }, auth: (AUTHENTICATION[name] ?? oauth.ClientSecretBasic)(secret) };
}

function parameters(pairs) {
  return new URLSearchParams(pairs);
}

// Sends a request, and once more when the server wants its nonce in the proof. Gives the answer and how often it was sent.
async function sent(send, read) {
  try {
    return { answer: await read(await send()), times: 1 };
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return { answer: await read(await send()), times: 2 };
  }
}

// An ID token of alice, by a backchannel login at a provider that is not ours either.
async function login(setup) {
  const issuer = new URL(setup.provider);
  const provider = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
  const { client, auth } = party(setup, 'provider');
  client.id_token_signed_response_alg = 'Ed25519';
  const asked = parameters([['scope', 'openid'], ['login_hint', 'alice']]);
  const begun = await oauth.processBackchannelAuthenticationResponse(
    provider, client, await oauth.backchannelAuthenticationRequest(provider, client, auth, asked, insecure));
  const ended = await oauth.processBackchannelAuthenticationGrantResponse(
    provider, client, await oauth.backchannelAuthenticationGrantRequest(provider, client, auth, begun.auth_req_id, insecure));
  return ended.id_token;
}

async function exchange(as, setup, { client, auth }, more, options) {
  const asked = parameters([['subject_token', await login(setup)], ['subject_token_type', `${TYPE}id_token`], ...more]);
  return sent(
    () => oauth.genericTokenEndpointRequest(as, client, auth, EXCHANGE, asked, { ...insecure, ...options }),
    (response) => oauth.processGenericTokenEndpointResponse(as, client, response));
}

async function introspect(as, { client, auth }, token) {
  return oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, token, insecure));
}

async function dpop(client, algorithm) {
  return oauth.DPoP(client, await oauth.generateKeyPair(algorithm));
}

const scenarios = {
  async methods(setup) {
    const as = await discover(setup);
    assert.equal(as.issuer, setup.issuer);
    assert.equal(as.token_endpoint, `${setup.issuer}/oauth/token`);
    const asked = parameters([['resource', setup.audiences[0]], ['resource', setup.audiences[1]], ['audience', 'reports'], ['scope', 'crm.read']]);
    const ask = async (client, auth) => oauth.processClientCredentialsResponse(
      as, client, await oauth.clientCredentialsGrantRequest(as, client, auth, asked, insecure));
    const granted = [];
    for (const name of ['basic', 'post']) {
      const { client, auth } = party(setup, name);
      granted.push([name, await ask(client, auth)]);
    }
    for (const key of setup.keys) {
      assert.ok(as.token_endpoint_auth_signing_alg_values_supported.includes(key.alg), key.alg);
      granted.push([key.alg, await ask({ client_id: setup.clients.signer.id }, await signer(key))]);
    }
    for (const [name, answer] of granted) {
      assert.equal(answer.token_type, 'bearer', name);
      assert.equal(answer.scope, 'crm.read', name);
      assert.ok(answer.expires_in > 0 && answer.expires_in <= 900, name);
      assert.equal(answer.refresh_token, undefined, name);
      const { aud } = await introspect(as, party(setup, 'server'), answer.access_token);
      assert.deepEqual([...aud].sort(), [...setup.audiences, 'reports'].sort(), name);
    }
  },

  async dpop(setup) {
    const as = await discover(setup);
    const { id } = setup.clients.signer;
    const asker = { client: { client_id: id }, auth: await signer(setup.keys[0]) };
    const details = [{ type: 'narrows', tools: ['crm.read'], agent: 'desk' }];
    const more = [['resource', setup.tool], ['authorization_details', JSON.stringify(details)]];
    for (const algorithm of ['ES256', 'Ed25519']) {
      assert.ok(as.dpop_signing_alg_values_supported.includes(algorithm), algorithm);
      const DPoP = await dpop(asker.client, algorithm);
      const first = await exchange(as, setup, asker, more, { DPoP });
      assert.equal(first.times, 2, 'the first request knows no nonce');
      assert.equal((await exchange(as, setup, asker, more, { DPoP })).times, 1, 'the second has the nonce of the last answer');
      const { answer } = first;
      assert.equal(answer.token_type, 'dpop');
      assert.equal(answer.issued_token_type, `${TYPE}access_token`);
      const [granted] = answer.authorization_details;
      assert.deepEqual([granted.type, granted.tools], ['narrows', ['crm.read']]);
      const told = await introspect(as, asker, answer.access_token);
      assert.deepEqual(told.cnf, { jkt: await DPoP.calculateThumbprint() });
      assert.deepEqual([told.active, told.token_type, told.client_id, told.act], [true, 'DPoP', id, { sub: 'desk' }]);
      assert.deepEqual(told.authorization_details, answer.authorization_details);
    }
  },

  async ending(setup) {
    const as = await discover(setup);
    const [owner, other, server] = ['basic', 'post', 'server'].map((name) => party(setup, name));
    const { client, auth } = owner;
    const DPoP = await dpop(client, 'ES256');
    const { answer } = await exchange(as, setup, owner, [['resource', setup.tool], ['scope', 'crm.read']], { DPoP });
    const token = answer.access_token;
    assert.equal((await introspect(as, owner, token)).active, true);
    assert.equal((await introspect(as, server, token)).active, true);
    assert.deepEqual(await introspect(as, other, token), { active: false });
    assert.deepEqual(await introspect(as, owner, 'no-token-of-anybody'), { active: false });

    const revoke = async (by, what) => oauth.processRevocationResponse(
      await oauth.revocationRequest(as, by.client, by.auth, what, { ...insecure, additionalParameters: parameters([['token_type_hint', 'access_token']]) }));
    await refused('somebody else\'s token', () => revoke(other, token), 400, 'unauthorized_client');
    assert.equal(await revoke(owner, 'no-token-of-anybody'), undefined);
    assert.equal((await introspect(as, owner, token)).active, true);
    assert.equal(await revoke(owner, token), undefined);
    for (const by of [owner, server]) assert.deepEqual(await introspect(as, by, token), { active: false });
    assert.equal(await revoke(owner, token), undefined, 'a second time');
  },

  async refusals(setup) {
    const as = await discover(setup);
    const { client, auth } = party(setup, 'basic');
    const ask = (pairs, options, by = auth) => async () => oauth.processClientCredentialsResponse(
      as, client, await oauth.clientCredentialsGrantRequest(as, client, by, parameters(pairs), { ...insecure, ...options }));
    const grant = (name, pairs) => async () => oauth.processGenericTokenEndpointResponse(
      as, client, await oauth.genericTokenEndpointRequest(as, client, auth, name, parameters(pairs), insecure));
    const exchanged = (more) => async () => exchange(as, setup, { client, auth }, more);
    const [there] = setup.audiences;
    const one = `${TYPE}id_token`;
    const cases = [
      ['a scope that nobody knows', ask([['resource', there], ['scope', 'everything']]), 400, 'invalid_scope'],
      ['a scope beyond the rule', ask([['resource', there], ['scope', 'payments']]), 400, 'invalid_scope'],
      ['another resource', ask([['resource', 'https://elsewhere.example'], ['scope', 'crm.read']]), 400, 'invalid_target'],
      ['a relative resource', ask([['resource', 'crm'], ['scope', 'crm.read']]), 400, 'invalid_target'],
      ['a good resource and a bad one', ask([['resource', there], ['resource', 'https://elsewhere.example'], ['scope', 'crm.read']]), 400, 'invalid_target'],
      ['details of no known type', ask([['resource', there], ['authorization_details', '[{"type":"x"}]']]), 400, 'invalid_authorization_details'],
      ['a grant that nobody knows', grant('urn:example:grant', [['a', 'b']]), 400, 'unsupported_grant_type'],
      ['a token that is none', grant(EXCHANGE, [['subject_token', 'x'], ['subject_token_type', one], ['resource', there]]), 400, 'invalid_request'],
      ['a type that nobody knows', grant(EXCHANGE, [['subject_token', 'x'], ['subject_token_type', `${TYPE}saml2`], ['resource', there]]), 400, 'invalid_request'],
      ['a type of actor without an actor', exchanged([['resource', setup.tool], ['actor_token_type', one]]), 400, 'invalid_request'],
      ['no proof where one is wanted', exchanged([['resource', setup.tool], ['scope', 'crm.read']]), 400, 'invalid_request'],
      ['an assertion that is none', grant('urn:ietf:params:oauth:grant-type:jwt-bearer', [['assertion', 'x'], ['resource', there]]), 400, 'invalid_grant'],
    ];
    for (const [name, request, status, error] of cases) await refused(name, request, status, error);

    // a client that isn't known and one that is give the same answer, and it names the scheme (RFC 6749 section 5.2)
    const wrong = oauth.ClientSecretBasic('a-secret-of-nobody');
    const stranger = { client_id: 'nobody' };
    for (const who of [client, stranger]) {
      const asked = oauth.clientCredentialsGrantRequest(as, who, wrong, parameters([['resource', there]]), insecure);
      const error = await oauth.processClientCredentialsResponse(as, who, await asked).then(assert.fail, (error) => error);
      assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, String(error));
      const [{ scheme, parameters: said }] = error.cause;
      assert.deepEqual([error.status, scheme, said.realm], [401, 'basic', 'narrows']);
      assert.equal((await error.response.json()).error, 'invalid_client');
      kept(error.response, 'a wrong secret');
    }
  },

  async tool(setup) {
    const as = await discover(setup);
    const tool = new URL(setup.tool);
    const found = await oauth.processResourceDiscoveryResponse(tool, await oauth.resourceDiscoveryRequest(tool, insecure));
    assert.deepEqual([found.resource, found.authorization_servers], [setup.tool, [setup.issuer]]);
    const asker = party(setup, 'basic');
    const DPoP = await dpop(asker.client, 'ES256');
    const { answer } = await exchange(as, setup, asker, [['resource', found.resource], ['scope', found.scopes_supported.join(' ')]], { DPoP });
    const call = (name, options = { DPoP }) => oauth.protectedResourceRequest(
      answer.access_token, 'POST', tool, new Headers({ 'content-type': 'application/json', accept: 'application/json' }),
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: { id: 1 } } }),
      { ...insecure, ...options });
    const { result } = await (await call('crm.read')).json();
    assert.equal(result.isError, false);
    assert.equal(result.structuredContent.id, 1);

    const challenged = async (request) => {
      const error = await request.then(assert.fail, (error) => error);
      assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, String(error));
      return [error.status, error.cause.find(({ parameters }) => parameters.error)];
    };
    // a payment takes a proof that signs its amount, which a stock client can't make: the refusal says that it is the proof
    const [status, { scheme, parameters: said }] = await challenged(call('payments.send'));
    assert.deepEqual([status, scheme, said.error, said.algs], [401, 'dpop', 'invalid_dpop_proof', 'ES256 EdDSA Ed25519']);
    // the bytes without the key, in the name of a bearer
    const [unproven, { scheme: bearer, parameters: complaint }] = await challenged(call('crm.read', {}));
    assert.deepEqual([unproven, bearer, complaint.error], [401, 'bearer', 'invalid_token']);
  },

  async view(setup) {
    const as = await discover(setup);
    const asker = party(setup, 'basic');
    const DPoP = await dpop(asker.client, 'Ed25519');
    const more = [['resource', setup.tool], ['scope', 'crm.read'], ['requested_token_type', `${TYPE}jwt`]];
    const { answer } = await exchange(as, setup, asker, more, { DPoP });
    assert.equal(answer.issued_token_type, `${TYPE}jwt`);
    // what a resource server of somebody else's making does with it (RFC 9068, RFC 9449)
    let request;
    const [url, headers] = [new URL(setup.tool), new Headers()];
    await oauth.protectedResourceRequest(answer.access_token, 'GET', url, headers, null, {
      ...insecure,
      DPoP,
      [oauth.customFetch]: async (url, { method, headers }) => {
        request = new Request(url, { method, headers });
        return new Response(null, { status: 200 });
      },
    });
    const claims = await oauth.validateJwtAccessToken(as, request, setup.tool, { ...insecure, requireDPoP: true });
    assert.deepEqual([claims.iss, claims.client_id, claims.scope], [setup.issuer, asker.client.client_id, 'crm.read']);
    assert.equal(claims.cnf.jkt, await DPoP.calculateThumbprint());
  },
};

async function refused(name, request, status, error) {
  const met = await request().then((answer) => assert.fail(`${name}: granted ${JSON.stringify(answer)}`), (met) => met);
  assert.ok(met instanceof oauth.ResponseBodyError, `${name}: ${met.stack}`);
  assert.deepEqual([met.status, met.error], [status, error], `${name}: ${met.error_description}`);
  assert.ok(met.error_description && met.cause.reason && met.cause.trace, name);
  kept(met.response, name);
}

function kept(response, name) {
  const { headers } = response;
  assert.deepEqual([headers.get('cache-control'), headers.get('pragma')], ['no-store', 'no-cache'], name);
  assert.equal(headers.get('content-type'), 'application/json', name);
}

const [name] = process.argv.slice(2);
if (name === 'keys') {
  process.stdout.write(JSON.stringify(keys()));
} else {
  await scenarios[name](JSON.parse(await text(process.stdin)));
}
