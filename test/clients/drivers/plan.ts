import { readFileSync } from "node:fs";

/** A call of the plan. */
export interface Call {
  operation: string;
  path: Record<string, string>;
  body?: any;
}

export const plan: { url: string; key: string; calls: Call[] } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const order = ["workspace_id", "id", "endpoint_name", "approval_id", "call_position", "key_id", "destination_id", "delivery_id", "file", "key_set_id", "subject", "client_document", "tree", "log", "position", "level", "index"];

/** The values of the path parameters, in the order in which URLs have them. */
export const params = (call: Call): string[] => order.filter((name) => name in call.path).map((name) => call.path[name]);

/** The status of the last answer. */
let status = 0;

/** Sends requests for a client: with the key, and to the service where it has no base URL. */
export const send: typeof fetch = async (input, init) => {
  let request: Request;
  if (input instanceof Request) request = new Request(input, init);
  else request = new Request(new URL(String(input), plan.url), init);
  request.headers.set("Authorization", "Bearer " + plan.key);
  if (request.url.includes("/mcp")) request.headers.set("Accept", "application/json, text/event-stream");
  const answer = await fetch(request);
  status = answer.status;
  return answer;
};

/** Makes every call, and prints the status of each answer, or what went wrong. */
export async function drive(make: (call: Call) => Promise<unknown>): Promise<void> {
  const results: unknown[] = [];
  for (const call of plan.calls) {
    status = 0;
    try {
      await make(call);
      results.push(status);
    } catch (problem: any) {
      // Clients that throw refusals throw the answer.
      results.push(status >= 400 && (problem?.response || problem?.error || problem instanceof Response) ? status : `${status} ${problem?.stack ?? problem}`);
    }
  }
  console.log(JSON.stringify(results));
}
