// An authorization server: oidc-provider with clients that get tokens for
// themselves, or for persons who sign in at its own pages. Options: clients (as the
// provider takes them), lifetime (of an access token of a person, in seconds).
//
//   POST /forget   every token that was given is unknown from now on
//   GET  /given    how many tokens were given
import { Provider } from 'oidc-provider';
import { announce, listen, options } from './listen.mjs';

const kept = new Map();
let given = 0;

class Memory {
  constructor(kind) {
    this.kind = kind;
  }
  key(id) {
    return `${this.kind} ${id}`;
  }
  async upsert(id, payload) {
    given += this.kind === 'ClientCredentials' ? 1 : 0;
    kept.set(this.key(id), payload);
    if (payload.uid) kept.set(this.key(`uid ${payload.uid}`), payload);
  }
  async find(id) {
    return kept.get(this.key(id));
  }
  async destroy(id) {
    kept.delete(this.key(id));
  }
  async consume(id) {
    kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }
  async findByUid(uid) {
    return kept.get(this.key(`uid ${uid}`));
  }
  async findByUserCode() {}
  async revokeByGrantId(grantId) {
    for (const [key, payload] of kept) {
      if (payload.grantId === grantId) kept.delete(key);
    }
  }
}

const { server, url } = await listen();
const provider = new Provider(url, {
  adapter: Memory,
  clients: options.clients,
  scopes: ['system/*.rs', 'system/*.cruds', 'openid', 'offline_access'],
  rotateRefreshToken: true,
  cookies: { keys: ['a key of a test'] },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
  enabledJWA: { clientAuthSigningAlgValues: ['RS384', 'ES384'] },
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    devInteractions: { enabled: options.lifetime !== undefined },
    revocation: { enabled: true },
  },
  ttl: { ClientCredentials: 600, AccessToken: options.lifetime ?? 600, Interaction: 600, Session: 600, Grant: 600, RefreshToken: 600, IdToken: 600 },
});
const answer = provider.callback();
server.on('request', (req, res) => {
  switch (`${req.method} ${req.url}`) {
    case 'POST /forget':
      kept.clear();
      return res.end();
    case 'GET /given':
      return res.end(String(given));
  }
  return answer(req, res);
});
announce(url);
