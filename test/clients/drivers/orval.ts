import * as operations from "./client";
import { drive, params, send } from "./plan";

globalThis.fetch = wrap(globalThis.fetch);

/** The generated functions call the global fetch. */
function wrap(real: typeof fetch): typeof fetch {
  let within = false;
  return async (input, init) => {
    if (within) return real(input, init);
    within = true;
    try {
      return await send(input, init);
    } finally {
      within = false;
    }
  };
}

void drive(async (call) => {
  const operation = (operations as any)[call.operation];
  await operation(...params(call), ...(call.body === undefined ? [] : [call.body]));
});
