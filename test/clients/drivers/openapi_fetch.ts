import createClient from "openapi-fetch";
import { readFileSync } from "node:fs";
import type { paths } from "./client";
import { drive, plan, send } from "./plan";

const client = createClient<paths>({ baseUrl: plan.url, fetch: send as any });

/** The method and path of each operation, as the generated types list them. */
const routes = new Map<string, [string, string]>();
let path = "";
for (const line of readFileSync("client.d.ts", "utf8").split("export type webhooks")[0].split("\n")) {
  path = /^ {4}"(\/[^"]*)": \{$/.exec(line)?.[1] ?? path;
  const found = /^ {8}(get|put|post|delete): operations\["(\w+)"\];$/.exec(line);
  if (found) routes.set(found[2], [found[1].toUpperCase(), path]);
}

void drive(async (call) => {
  const [method, route] = routes.get(call.operation)!;
  const text = { openapi: 1, asyncapi: 1, metrics: 1, docs: 1, docsScript: 1, docsFile: 1, livez: 1, getCheckpoint: 1, getTile: 1, exportLog: 1 }[call.operation] ? "text" : "json";
  await (client as any)[method](route, { params: { path: call.path }, body: call.body, parseAs: text });
});

/** What the types promise, checked by the compiler. */
export async function typed(): Promise<string | undefined> {
  const made = await client.POST("/v1/{workspace_id}/integrations", {
    params: { path: { workspace_id: "acme" } },
    body: { name: "crm", display_name: "CRM", base_url: "https://crm.example.com", auth: { type: "basic", username: "u", password_value: "p" } } as any,
  });
  const one = await client.GET("/v1/{workspace_id}/integrations/{id}", { params: { path: { workspace_id: "acme", id: "crm" } } });
  return made.error?.detail ?? one.data?.endpoints[0]?.name;
}
