// An MCP client: the official TypeScript SDK. Options:
//
//   url, key         the server, and the bearer token for it
//   mode             "auto", "legacy" (the initialize handshake), a protocol
//                    version, or "v1" for the SDK's first major version
//   tool, arguments  what to call
//
// It prints what it saw as one line of JSON.
import * as v2 from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { options } from './listen.mjs';

const { url, key, mode, tool } = options;
const negotiation = mode === 'auto' || mode === 'legacy' ? mode : { pin: mode };
const [client, Transport] = mode === 'v1'
  ? [new Client({ name: 'peer', version: '1' }), StreamableHTTPClientTransport]
  : [new v2.Client({ name: 'peer', version: '1' }, { versionNegotiation: { mode: negotiation } }), v2.StreamableHTTPClientTransport];

const transport = new Transport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${key}` } } });
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool, arguments: options.arguments });
console.log(JSON.stringify({
  version: mode === 'v1' ? transport.protocolVersion : client.getNegotiatedProtocolVersion(),
  tools: tools.map((t) => t.name),
  text: result.content[0].text,
  is_error: result.isError ?? false,
}));
await client.close();
process.exit(0); // nothing that is left open holds it
