// The authorization server of `oidc-provider`, for `narrows bench load --peer`: one process a core, which share a port, keys and
// nonces, and keep what they remember in memory.
//
//   npm ci && node server.mjs
//
// reads one line of JSON {"client_id","jwks","resource","scope","workers"}, prints one {"name","issuer","token_endpoint"} when it
// listens, and ends when its standard input closes.

import cluster from 'node:cluster';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider, { errors } from 'oidc-provider';

// Standard output carries the one line.
console.info = console.log = console.error;

if (cluster.isPrimary) await primary();
else serve(JSON.parse(process.env.PEER));

async function primary() {
  const lines = createInterface({ input: process.stdin });
  const asked = JSON.parse(await new Promise((first) => lines.once('line', first)));
  lines.once('close', () => process.exit(0));
  const key = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const shared = { ...asked, key, secret: randomBytes(32).toString('hex'), port: await freePort() };
  await Promise.all(Array.from({ length: asked.workers }, async () => {
    const worker = cluster.fork({ PEER: JSON.stringify(shared) });
    await new Promise((listening) => worker.once('listening', listening));
  }));
  const { version } = JSON.parse(readFileSync(new URL('./node_modules/oidc-provider/package.json', import.meta.url)));
  const issuer = `http://127.0.0.1:${shared.port}`;
  process.stdout.write(`${JSON.stringify({ name: `oidc-provider ${version}`, issuer, token_endpoint: `${issuer}/token` })}\n`);
}

async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

function serve({ client_id, jwks, resource, scope, key, secret, port }) {
  const algorithms = ['Ed25519', 'EdDSA', 'ES256'];
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    jwks: { keys: [{ ...key, use: 'sig', alg: 'Ed25519', kid: '1' }] },
    clients: [{
      client_id,
      jwks,
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      dpop_bound_access_tokens: true,
      id_token_signed_response_alg: 'Ed25519',
    }],
    clientAuthMethods: ['private_key_jwt'],
    ttl: { ClientCredentials: 900 },
    enabledJWA: { clientAuthSigningAlgValues: algorithms, dPoPSigningAlgValues: algorithms },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true, nonceSecret: Buffer.from(secret, 'hex'), requireNonce: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_ctx, named) {
          if (named !== resource) throw new errors.InvalidTarget();
          return { scope, audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'Ed25519' } } };
        },
      },
    },
  });
  createServer(provider.callback()).listen(port, '127.0.0.1');
}
