import { Api } from "./client";
import { drive, params, plan, send } from "./plan";

const api: any = new Api({ baseUrl: plan.url, customFetch: send });

void drive(async (call) => {
  const group = Object.values(api).find((g: any) => typeof g?.[call.operation] === "function") as any;
  if (!group) throw new Error("there is no " + call.operation);
  await group[call.operation](...params(call), ...(call.body === undefined ? [] : [call.body]));
});
