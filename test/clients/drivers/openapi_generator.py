"""Drives a Python client of openapi-generator: its folder, and the plan."""

import importlib
import inspect
import json
import pathlib
import re
import sys
import typing

sys.path.insert(0, sys.argv[1])
plan = json.loads(pathlib.Path(sys.argv[2]).read_text())
client = importlib.import_module("client")
api_client = client.ApiClient(client.Configuration(host=plan["url"], access_token=plan["key"]))
apis = [getattr(client, name)(api_client) for name in dir(client) if name.endswith("Api")]


class Recorder:
    """Sends requests, and notes the status of the last answer."""

    def __init__(self, inner):
        self.inner, self.status = inner, 0

    def request(self, *arguments, **named):
        answer = self.inner.request(*arguments, **named)
        self.status = answer.status
        return answer


api_client.rest_client = Recorder(api_client.rest_client)


def models(kind):
    """Yields the models in an annotation."""
    if hasattr(kind, "from_dict"):
        yield kind
    for part in typing.get_args(kind):
        yield from models(part)


def given(model, body):
    """Returns a body in which the members that are absent are not null: from_dict sets them."""
    value = model.from_dict(body)
    for name, field in model.model_fields.items():
        if (field.alias or name) not in body:
            value.model_fields_set.discard(name)
    return value


def make(call):
    """Makes one call, and returns the status of its answer."""
    name = re.sub("([A-Z])", r"_\1", call["operation"]).lower() + "_with_http_info"
    method = next(getattr(api, name) for api in apis if hasattr(api, name))
    arguments = dict(call["path"])
    if "body" in call:
        for parameter in inspect.signature(method).parameters.values():
            found = list(models(parameter.annotation))
            if found and parameter.name not in arguments:
                arguments[parameter.name] = given(found[0], call["body"])
                break
        else:
            arguments["request_body"] = call["body"]
    if call["operation"].startswith("mcp"):
        arguments["_headers"] = {"Accept": "application/json, text/event-stream"}
    try:
        return method(**arguments).status_code
    except client.ApiException as refusal:
        return refusal.status if refusal.data is not None else f"{api_client.rest_client.status} {refusal.reason}"


results = []
for one in plan["calls"]:
    try:
        results.append(make(one))
    except Exception as problem:  # whatever it is, it belongs in the result
        results.append(f"{type(problem).__name__}: {str(problem)[:500]}")
print(json.dumps(results))
