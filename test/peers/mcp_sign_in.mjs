// An MCP client that knows nothing but the URL of a server: the official TypeScript SDK
// finds where to sign in, registers itself, has a person sign in, and calls a tool. Options:
//
//   url              of the server
//   mode             "auto", "legacy" or "v1", as in mcp_client.mjs
//   name             of the person
//   tool, arguments  what to call
//
// It prints what it saw as one line of JSON.
import * as v2 from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { options } from './listen.mjs';
import { signIn } from './sign_in.mjs';

const redirectURI = 'http://127.0.0.1:1/callback';
const kept = {};
let asked; // where the person was sent
const authProvider = {
  redirectUrl: redirectURI,
  clientMetadata: { client_name: 'peer', redirect_uris: [redirectURI], grant_types: ['authorization_code'], response_types: ['code'], token_endpoint_auth_method: 'none' },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  redirectToAuthorization: (url) => { asked = url; },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
};
const [makeClient, Transport] = options.mode === 'v1'
  ? [() => new Client({ name: 'peer', version: '1' }), StreamableHTTPClientTransport]
  : [() => new v2.Client({ name: 'peer', version: '1' }, { versionNegotiation: { mode: options.mode } }), v2.StreamableHTTPClientTransport];

const first = new Transport(new URL(options.url), { authProvider });
let refused;
try {
  await makeClient().connect(first);
} catch (error) {
  refused = error.constructor.name;
}
const back = await signIn(asked, options.name, redirectURI);
await first.finishAuth(options.mode === 'v1' ? back.searchParams.get('code') : back.searchParams);
const client = makeClient();
await client.connect(new Transport(new URL(options.url), { authProvider }));
const { tools } = await client.listTools();
const result = await client.callTool({ name: options.tool, arguments: options.arguments });
console.log(JSON.stringify({
  refused,
  resource: asked.searchParams.get('resource'),
  scope: asked.searchParams.get('scope'),
  tools: tools.map((t) => t.name),
  text: result.content[0].text,
  is_error: result.isError ?? false,
}));
process.exit(0); // nothing that is left open holds it
