// A real OpenID provider for the end-to-end tests, on a free port of the loopback interface.
//
//   node provider.mjs [RESOURCE ...]
//
// prints one line {"issuer","port"} and serves until its standard input closes, so that it never outlives its test.
// Each RESOURCE may be asked for as an access token's audience (RFC 8707).

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider, { errors } from 'oidc-provider';

// Standard output carries the one line that the test reads.
console.info = console.log = console.error;

const PASSWORDS = new Map([['alice', 'alice-password'], ['bob', 'bob-password']]);
const CIBA = 'urn:openid:params:grant-type:ciba';

const resources = process.argv.slice(2);
const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const { port } = server.address();
const issuer = `http://127.0.0.1:${port}`;

function key(alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: alg.toLowerCase() };
}

// A person's browser on the person's own machine: no secret, so PKCE; any loopback port is a fair redirect (RFC 8252).
function publicClient(client_id, id_token_signed_response_alg) {
  return {
    client_id,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://127.0.0.1/callback'],
    id_token_signed_response_alg,
  };
}

const provider = new Provider(issuer, {
  jwks: {
    keys: [
      key('RS256', 'rsa', { modulusLength: 2048 }),
      key('ES256', 'ec', { namedCurve: 'P-256' }),
      key('Ed25519', 'ed25519'),
    ],
  },
  clients: [
    publicClient('agents', 'Ed25519'),
    publicClient('agents-rs256', 'RS256'),
    publicClient('agents-es256', 'ES256'),
    {
      client_id: 'agents-without-browser',
      client_secret: 'the-secret-of-a-client-without-a-browser',
      grant_types: [CIBA],
      redirect_uris: [],
      response_types: [],
      backchannel_token_delivery_mode: 'poll',
      id_token_signed_response_alg: 'Ed25519',
    },
  ],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'Ed25519'] },
  cookies: { keys: ['provider-of-a-test'] },
  findAccount: (_ctx, accountId) => PASSWORDS.has(accountId)
    ? { accountId, claims: () => ({ sub: accountId }) }
    : undefined,
  features: {
    devInteractions: { enabled: false },
    ciba: {
      enabled: true,
      deliveryModes: ['poll'],
      processLoginHint: (_ctx, hint) => hint,
      validateBindingMessage: () => {},
      validateRequestContext: () => {},
      verifyUserCode: () => {},
      triggerAuthenticationDevice: approveAtOnce,
    },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo(_ctx, resource) {
        if (!resources.includes(resource)) throw new errors.InvalidTarget();
        return { scope: 'tools', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'Ed25519' } } };
      },
    },
  },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  renderError(ctx, out) {
    ctx.type = 'json';
    ctx.body = out;
  },
});

async function approveAtOnce(_ctx, request, account, client) {
  const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
  grant.addOIDCScope(request.scope);
  for (const resource of [request.resource ?? []].flat()) grant.addResourceScope(resource, 'tools');
  await grant.save();
  await provider.backchannelResult(request, grant);
}

async function interaction(request, response) {
  const { uid, prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') return page(response, 200, uid, prompt.name);

  const form = await formOf(request);
  if (prompt.name === 'login') {
    const [user, password] = [form.get('user'), form.get('password')];
    if (!user || PASSWORDS.get(user) !== password) return page(response, 401, uid, prompt.name);
    return provider.interactionFinished(request, response, { login: { accountId: user } });
  }

  const grant = (grantId && await provider.Grant.find(grantId))
    || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
  for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

function page(response, status, uid, prompt) {
  const fields = prompt === 'login' ? '<input name="user"><input name="password" type="password">' : '';
  response.writeHead(status, { 'content-type': 'text/html' });
  response.end(`<form method="post" action="/interaction/${uid}">${fields}<button>${prompt}</button></form>`);
}

async function formOf(request) {
  let body = '';
  for await (const chunk of request) body += chunk;
  return new URLSearchParams(body);
}

const callback = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) return callback(request, response);
  return interaction(request, response).catch((error) => {
    response.writeHead(400, { 'content-type': 'text/plain' });
    response.end(String(error));
  });
});

process.stdin.resume().on('end', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ issuer, port })}\n`);
