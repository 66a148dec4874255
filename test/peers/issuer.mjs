// An OpenID provider: oidc-provider, which issues JWT access tokens for a resource
// (RFC 8707), registers whoever asks (RFC 7591), and has persons sign in at its own
// pages, by their names. Options:
//
//   clients   as the provider takes them
//   resources the audience of the tokens of each resource that may be asked for
//   scopes    of the resources
//   groups    the groups of each person and each client; the claim of their tokens
//
//   POST /rotate   it signs with a new key from now on, and publishes that one only
import { generateKeyPairSync } from 'node:crypto';
import { errors, Provider } from 'oidc-provider';
import { announce, listen, options } from './listen.mjs';

const { server, url } = await listen();
const groups = options.groups ?? {};
const lifetime = 600;

function start(id) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const provider = new Provider(url, {
    clients: options.clients ?? [],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: id, use: 'sig', alg: 'ES256' }] },
    scopes: ['openid', 'offline_access', ...options.scopes],
    claims: { openid: ['sub', 'groups'] },
    cookies: { keys: ['a key of a test'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId, groups: groups[accountId] }) }),
    extraTokenClaims: (_, token) => ({ groups: groups[token.accountId ?? token.clientId] ?? [] }),
    features: {
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo(_, resource) {
          const audience = options.resources[resource];
          if (!audience) throw new errors.InvalidTarget();
          return { scope: options.scopes.join(' '), audience, accessTokenTTL: lifetime, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
        },
      },
    },
    ttl: { ClientCredentials: lifetime, AccessToken: lifetime, Interaction: lifetime, Session: lifetime, Grant: lifetime, IdToken: lifetime },
  });
  return provider.callback();
}

let rotations = 0;
let answer = start('key-0');
server.on('request', (req, res) => {
  if (`${req.method} ${req.url}` === 'POST /rotate') {
    rotations += 1;
    answer = start(`key-${rotations}`);
    return res.end();
  }
  return answer(req, res);
});
announce(url);
