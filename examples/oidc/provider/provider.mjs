// A real OpenID provider on loopback: `oidc-provider`, with one client that gets access tokens for itself.
//
//     node provider.mjs STATE
//
// Prints its issuer as the first line. What it would lose with its process it keeps in the file STATE, and goes on with: its address and
// its keys. Its key rotates when it is told to, in the three steps of every issuer:
//
//     POST /rotate/publish/ES256    a new key, of that algorithm, stands beside the old one, which still signs
//     POST /rotate/sign             the new key signs
//     POST /rotate/retire           the old key is gone
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import Provider from 'oidc-provider';

const kinds = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const key = (alg) => {
  const { privateKey } = kinds[alg]();
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' };
};

const file = process.argv[2];
const kept = existsSync(file) ? JSON.parse(readFileSync(file)) : { port: 0, keys: [key('ES256')] };
// The first of them signs.
let { keys } = kept;
let answer;

const keep = () => {
  writeFileSync(`${file}.next`, JSON.stringify({ port: server.address().port, keys }), { mode: 0o600 });
  renameSync(`${file}.next`, file);
};

const renew = (issuer) => {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'alice',
      client_secret: 'for-this-run-only',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      scope: 'infer',
      token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: keys[0].alg,
    }],
    cookies: { keys: [randomUUID()] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:example:model-server',
        getResourceServerInfo: () => ({
          scope: 'infer',
          audience: 'model-server',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: keys[0].alg } },
        }),
      },
    },
    jwks: { keys },
    scopes: ['infer'],
  });
  answer = provider.callback();
};

const steps = {
  '/rotate/publish/ES256': () => [...keys, key('ES256')],
  '/rotate/publish/RS256': () => [...keys, key('RS256')],
  '/rotate/sign': () => [keys[keys.length - 1], ...keys.slice(0, -1)],
  '/rotate/retire': () => [keys[0]],
};

const server = http.createServer((request, response) => {
  const step = request.method === 'POST' && steps[request.url];
  if (!step) {
    answer(request, response);
    return;
  }
  keys = step();
  keep();
  renew(issuer());
  response.end(JSON.stringify({ keys: keys.map(({ kid }) => kid) }));
});

const issuer = () => `http://127.0.0.1:${server.address().port}`;

server.listen(kept.port, '127.0.0.1', () => {
  keep();
  renew(issuer());
  console.log(issuer());
});
