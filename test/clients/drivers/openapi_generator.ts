import * as client from "./client";
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
  if (call.body !== undefined) {
    const [name, model] = bodyOf(api, call.operation);
    request[name] = model ? (client as any)[model + "FromJSON"](call.body) : call.body;
  }
  await api[call.operation](request);
});

/** The member of a request that is its body, and its model: names in the client differ from those in JSON. */
function bodyOf(api: any, operation: string): [string, string | undefined] {
  const code = String(api[operation + "RequestOpts"] ?? api[operation + "Raw"]);
  const found = /body: (?:\(0, )?(?:\w+\.)?(?:(\w+)ToJSON\)?\()?requestParameters\[['"](\w+)['"]\]/.exec(code);
  if (!found) throw new Error("no body in " + code);
  return [found[2], found[1]];
}
