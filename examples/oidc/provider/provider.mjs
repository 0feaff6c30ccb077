// A real OpenID provider on loopback: `oidc-provider`, with one client that gets access tokens for itself.
//
// Prints its issuer as the first line. Its key rotates when it is told to, in the three steps of every issuer:
//
//     POST /rotate/publish    a new key stands beside the old one, which still signs
//     POST /rotate/sign       the new key signs
//     POST /rotate/retire     the old key is gone
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import Provider from 'oidc-provider';

const key = () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'ES256', use: 'sig' };
};

// The first of them signs.
let keys = [key()];
let answer;

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
      id_token_signed_response_alg: 'ES256',
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
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    jwks: { keys },
    scopes: ['infer'],
  });
  answer = provider.callback();
};

const steps = {
  '/rotate/publish': () => [...keys, key()],
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
  renew(issuer());
  response.end(JSON.stringify({ keys: keys.map(({ kid }) => kid) }));
});

const issuer = () => `http://127.0.0.1:${server.address().port}`;

server.listen(0, '127.0.0.1', () => {
  renew(issuer());
  console.log(issuer());
});
