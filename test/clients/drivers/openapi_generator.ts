import * as client from "./client/src";
import { drive, plan, send } from "./plan";

const configuration = new client.Configuration({ basePath: plan.url, fetchApi: send, accessToken: plan.key });
const apis: any[] = Object.entries(client)
  .filter(([name]) => name.endsWith("Api"))
  .map(([, Api]) => new (Api as any)(configuration));

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

void drive(async (call) => {
  const api = apis.find((a) => typeof a[call.operation] === "function");
  if (!api) throw new Error("there is no " + call.operation);
  const request: any = Object.fromEntries(Object.entries(call.path).map(([name, value]) => [camel(name), value]));
  if (call.body !== undefined) request[bodyOf(api, call.operation)] = call.body;
  await api[call.operation](request);
});

/** The name of the member of a request that is its body. */
function bodyOf(api: any, operation: string): string {
  const code = String(api[operation + "Raw"]) + String(api[operation + "RequestOpts"] ?? "");
  const found = /body: .*requestParameters\[['"](\w+)['"]\]/.exec(code);
  return found?.[1] ?? "body";
}
