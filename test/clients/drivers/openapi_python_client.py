"""Drives a client of openapi-python-client: its folder, and the plan."""

import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import sys

sys.path.insert(0, sys.argv[1])
plan = json.loads(pathlib.Path(sys.argv[2]).read_text())
package = next(p.name for p in pathlib.Path(sys.argv[1]).iterdir() if (p / "client.py").exists())
clients = importlib.import_module(package + ".client")
client = clients.AuthenticatedClient(base_url=plan["url"], token=plan["key"])
modules = {name.rsplit(".", 1)[1]: name
           for _, name, _ in pkgutil.walk_packages(importlib.import_module(package + ".api").__path__, package + ".api.")}


def make(call):
    """Makes one call, and returns the status of its answer."""
    module = importlib.import_module(modules[re.sub("([A-Z])", r"_\1", call["operation"]).lower()])
    arguments = dict(call["path"])
    arguments = {("id" if k == "id" and "id" in inspect.signature(module.sync_detailed).parameters else ("id_" if k == "id" else k)): v for k, v in arguments.items()}
    if "body" in call:
        kind = inspect.signature(module.sync_detailed).parameters["body"].annotation
        models = [m for m in getattr(kind, "__args__", [kind]) if hasattr(m, "from_dict")]
        arguments["body"] = models[0].from_dict(call["body"])
    used = client.with_headers({"Accept": "application/json, text/event-stream"}) if call["operation"].startswith("mcp") else client
    return int(module.sync_detailed(client=used, **arguments).status_code)


results = []
for one in plan["calls"]:
    try:
        results.append(make(one))
    except Exception as problem:  # whatever it is, it belongs in the result
        results.append(f"{type(problem).__name__}: {problem}")
print(json.dumps(results))
