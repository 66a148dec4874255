// An authorization server: oidc-provider with clients that get tokens for
// themselves. Options: clients (as the provider takes them).
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
  }
  async find(id) {
    return kept.get(this.key(id));
  }
  async destroy(id) {
    kept.delete(this.key(id));
  }
  async consume() {}
  async findByUid() {}
  async findByUserCode() {}
  async revokeByGrantId() {}
}

const { server, url } = await listen();
const provider = new Provider(url, {
  adapter: Memory,
  clients: options.clients,
  scopes: ['system/*.rs', 'system/*.cruds'],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  enabledJWA: { clientAuthSigningAlgValues: ['RS384', 'ES384'] },
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    devInteractions: { enabled: false },
  },
  ttl: { ClientCredentials: 600 },
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
