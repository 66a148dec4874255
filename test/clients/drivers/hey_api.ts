import { client } from "./client/client.gen";
import * as operations from "./client/sdk.gen";
import { drive, plan, send } from "./plan";

client.setConfig({ baseUrl: plan.url as any, fetch: send, auth: plan.key });

void drive(async (call) => {
  const { error, response } = await (operations as any)[call.operation]({ path: call.path, body: call.body });
  if (response === undefined) throw error;
});

/** What the types promise, checked by the compiler. */
export async function typed(): Promise<string | undefined> {
  const made = await operations.createIntegration({
    path: { workspace_id: "acme" },
    body: { name: "crm", display_name: "CRM", base_url: "https://crm.example.com", auth: { type: "basic", username: "u", password_value: "p" } },
  });
  const one = await operations.getIntegration({ path: { workspace_id: "acme", id: "crm" } });
  return made.error?.detail ?? one.data?.endpoints[0]?.name;
}
