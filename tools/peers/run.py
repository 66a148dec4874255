#!/usr/bin/env python3
"""Measures the service beside PocketBase and ContextForge, in turns, with the same load generator (wrk, one thread).

    tools/peers/run.py                          # builds and installs into a temporary folder; about 10 minutes
    tools/peers/run.py --folder /tmp/peers      # keeps what it built and installed, for the next run
    tools/peers/run.py --rounds 3 --only create

It needs Go, Python, wrk, a Go module proxy and PyPI. All servers listen on loopback. docs/beside-peers.md has a table and
explains it.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
POCKETBASE = "v0.39.0"
CONTEXTFORGE = "1.0.7"

OURS, POCKET, SYNCED, FORGE, BARE = "ours", "PocketBase", "PocketBase, synced", "ContextForge", "upstream itself"

ANSWER = "/v1/bench/integrations/answer"  # of the upstream
SLOW = 2  # seconds of a measurement of ContextForge, at least

PADDING = "List the free slots of a day, in every room or in one. A slot is half an hour long. " * 7
SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}, "room": {"type": "string", "description": "where"}}}


class Server:
    """A process, where it listens, and the token of its requests."""

    def __init__(self, process, url, token=""):
        self.process, self.url, self.token = process, url, token

    def request(self, method, path, body=None):
        headers = {"Content-Type": "application/json", "Authorization": "Bearer " + self.token}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers, method=method), timeout=60) as answer:
            return json.load(answer)

    def resident(self):
        """MB of the process and its children."""
        total, pids = 0, [self.process.pid]
        while pids:
            pid = pids.pop()
            with contextlib.suppress(OSError):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                total += int(status.split("VmRSS:")[1].split()[0])
                pids += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return total / 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(url, process, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            sys.exit(f"{url}: the server ended with status {process.returncode}")
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(url, timeout=5):
                return
        time.sleep(0.1)
    sys.exit(f"{url} is not ready after {seconds} s")


def build(folder):
    """Builds and installs what is not in the folder yet; the service is always built."""
    env = dict(os.environ, GOFLAGS="")
    program = folder / "integrations"
    subprocess.run(["go", "build", "-o", program, "./cmd/integrations"], cwd=REPOSITORY, env=env, check=True)
    pocketbase = folder / "pocketbase"
    if not pocketbase.exists():
        module = folder / "pocketbase-module"
        module.mkdir(exist_ok=True)
        shutil.copy(HERE / "pocketbase.go", module)
        if not (module / "go.mod").exists():
            subprocess.run(["go", "mod", "init", "peers"], cwd=module, env=env, check=True)
        subprocess.run(["go", "get", "github.com/pocketbase/pocketbase@" + POCKETBASE], cwd=module, env=env, check=True)
        subprocess.run(["go", "build", "-o", pocketbase, "pocketbase.go"], cwd=module, env=env, check=True)
    forge = folder / "contextforge"
    if not (forge / "bin" / "mcpgateway").exists():
        subprocess.run([sys.executable, "-m", "venv", forge], check=True)
        subprocess.run([forge / "bin" / "pip", "install", "--quiet", "mcp-contextforge-gateway==" + CONTEXTFORGE], check=True)
    return program, pocketbase, forge


def start(stack, args, log, env=None):
    """Starts a process that ends with the stack."""
    process = subprocess.Popen(args, stdout=open(log, "wb"), stderr=subprocess.STDOUT, env=env)

    def end():
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)
    return process


def ready_url(log, process):
    """The address in the log of a program of ours that is ready."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if record.get("msg") == "ready":
                    return record["url"]
        time.sleep(0.05)
    sys.exit(f"not ready:\n{log.read_text()}")


def start_ours(stack, program, data, *flags):
    log = data / "ours.log"
    process = start(stack, [
        program, "--log-format=json", "serve", "--listen=127.0.0.1:0", f"--data={data / 'ours'}", "--egress-allow-loopback",
        "--rate-read=0", "--rate-write=0", "--rate-call=0", "--probe-interval=0", *flags,
    ], log)
    url = ready_url(log, process)
    return Server(process, url, (data / "ours" / "operator.key").read_text().strip())


def start_upstream(stack, program, data):
    (data / "answer.json").write_text('{"slots": [{"id": "north-9", "start": "2026-12-01T09:00:00Z"}]}')
    log = data / "upstream.log"
    process = start(stack, [program, "bench-limit", "--kind=gin", f"--data={data / 'answer.json'}"], log)
    return Server(process, ready_url(log, process))


def start_pocketbase(stack, pocketbase, data, synchronous):
    name = "pocketbase-" + (synchronous or "default")
    env = dict(os.environ)
    if synchronous:
        env["SYNCHRONOUS"] = synchronous
    folder, port = data / name, free_port()
    subprocess.run([pocketbase, "superuser", "upsert", "bench@example.com", "bench-bench-bench", f"--dir={folder}"],
                   env=env, check=True, stdout=subprocess.DEVNULL)
    process = start(stack, [pocketbase, "serve", f"--http=127.0.0.1:{port}", f"--dir={folder}"], data / (name + ".log"), env)
    s = Server(process, f"http://127.0.0.1:{port}")
    wait_for(s.url + "/api/health", process)
    s.token = s.request("POST", "/api/collections/_superusers/auth-with-password",
                        {"identity": "bench@example.com", "password": "bench-bench-bench"})["token"]
    s.request("POST", "/api/collections", {
        "name": "integrations", "type": "base",
        "fields": [{"name": n, "type": "text", "required": True} for n in ("workspace", "name", "display_name", "base_url")] +
                  [{"name": "enabled", "type": "bool"}, {"name": "endpoints", "type": "json"},
                   {"name": "created", "type": "autodate", "onCreate": True}, {"name": "updated", "type": "autodate", "onCreate": True, "onUpdate": True}],
        "indexes": ["CREATE UNIQUE INDEX by_name ON integrations (workspace, name)", "CREATE INDEX by_time ON integrations (workspace, created)"],
    })
    return s


def start_forge(stack, forge, data):
    folder, port, secret = data / "contextforge", free_port(), "for-this-benchmark-on-loopback-only-0123456789"
    folder.mkdir()
    email, password = "bench@example.com", "Bench-only-" + secret[:8]
    env = dict(os.environ, DATABASE_URL=f"sqlite:///{folder}/mcp.db", JWT_SECRET_KEY=secret, AUTH_ENCRYPTION_SECRET=secret[::-1],
               PLATFORM_ADMIN_EMAIL=email, PLATFORM_ADMIN_PASSWORD=password, RATE_LIMITING_ENABLED="false", TOOL_RATE_LIMIT="1000000000",
               SSRF_ALLOW_LOCALHOST="true", SSRF_ALLOW_PRIVATE_NETWORKS="true", CACHE_TYPE="memory", LOG_LEVEL="ERROR")
    process = start(stack, [forge / "bin" / "mcpgateway", "--host", "127.0.0.1", "--port", str(port)], data / "contextforge.log", env)
    s = Server(process, f"http://127.0.0.1:{port}")
    wait_for(s.url + "/health", process)
    s.token = subprocess.run([forge / "bin" / "python", "-m", "mcpgateway.utils.create_jwt_token", "-u", email, "--admin", "--exp", "600", "-s", secret],
                             env=env, check=True, capture_output=True, text=True).stdout.split()[-1]
    return s


class Load:
    """One kind of request to one server."""

    def __init__(self, server, method, path, body=None):
        self.server, self.method, self.path, self.body = server, method, path, body

    def run(self, connections, seconds, after=""):
        """Requests per second, and the median and 99th percentile in microseconds."""
        env = dict(os.environ, METHOD=self.method, AFTER=after, TOKEN=self.server.token)
        if self.body is not None:
            env["BODY"] = json.dumps(self.body)
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=30s", "-s", HERE / "load.lua", self.server.url + self.path],
                             env=env, check=True, capture_output=True, text=True).stdout
        line = next(line for line in out.splitlines() if line.startswith("figures "))
        rate, p50, p99, requests, errors = map(float, line.split()[1:])
        if errors or not requests:
            sys.exit(f"{self.method} {self.path}: {errors:.0f} of {requests:.0f} requests failed\n{out}")
        return rate, p50, p99, requests

    def fill(self, connections, seconds, size):
        """Makes at least so many requests."""
        made = turn = 0
        while made < size:
            turn += 1
            made += self.run(connections, seconds, f"fill{turn}x")[3]


def creating(servers, workspace, names=(OURS, POCKET, SYNCED, FORGE)):
    """Loads that create in a workspace."""
    endpoint = {"name": "list_slots", "description": PADDING, "method": "GET", "path": "/slots/{day}", "input_schema": SCHEMA}
    record = {"name": "n@", "display_name": "The n@", "base_url": servers[BARE].url, "endpoints": [endpoint]}
    tool = {"name": workspace + "n@", "url": servers[BARE].url + ANSWER, "description": PADDING, "integration_type": "REST",
            "request_type": "GET", "input_schema": SCHEMA}
    requests = {OURS: (f"/v1/{workspace}/integrations", record), FORGE: ("/tools", {"tool": tool})}
    requests[POCKET] = requests[SYNCED] = ("/api/collections/integrations/records", dict(record, workspace=workspace, enabled=True))
    return {name: Load(servers[name], "POST", *requests[name]) for name in names}


def invoking(ours, upstream):
    """A load that calls an endpoint of a new integration."""
    endpoint = {"name": "answer", "description": "Answer.", "method": "GET", "path": ANSWER}
    ours.request("POST", "/v1/called/integrations", {"name": "called", "display_name": "Called", "base_url": upstream.url, "endpoints": [endpoint]})
    return Load(ours, "POST", "/v1/called/integrations/called/endpoints/answer/invoke", {"params": {}})


def works(servers):
    """Rows: a name, the numbers of connections, and the loads. ContextForge is only measured with 1 and 16 connections."""
    created = creating(servers, "written")
    listed = servers[OURS].request("GET", "/v1/filled/integrations?limit=50&builtin=false")["items"]
    one = {OURS: Load(servers[OURS], "GET", "/v1/filled/integrations/" + listed[0]["id"])}
    newest = {OURS: Load(servers[OURS], "GET", "/v1/filled/integrations?limit=50")}
    plain = {}
    for name in (POCKET,):
        records = "/api/collections/integrations/records"
        found = servers[name].request("GET", records + "?perPage=1&filter=(workspace='filled')")["items"][0]
        one[name] = Load(servers[name], "GET", f"{records}/{found['id']}")
        page = records + "?perPage=50&sort=-created&filter=(workspace='filled')"
        newest[name], plain[name] = Load(servers[name], "GET", page), Load(servers[name], "GET", page + "&skipTotal=1")
    tool = servers[FORGE].request("GET", "/tools?limit=1")[0]
    one[FORGE] = Load(servers[FORGE], "GET", "/tools/" + tool["id"])
    newest[FORGE] = Load(servers[FORGE], "GET", "/tools?limit=50&include_pagination=true")

    rpc = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    invoke = {OURS: invoking(servers[OURS], servers[BARE]), BARE: Load(servers[BARE], "GET", ANSWER)}
    mcp = {OURS: Load(servers[OURS], "POST", "/v1/called/mcp", dict(rpc, params={"name": "called__answer", "arguments": {}})),
           FORGE: Load(servers[FORGE], "POST", "/rpc", dict(rpc, params={"name": tool["name"], "arguments": {}}))}
    for load in (mcp[OURS], mcp[FORGE]):  # an error would be fast
        request = urllib.request.Request(load.server.url + load.path, json.dumps(load.body).encode(), {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + load.server.token})
        answer = urllib.request.urlopen(request, timeout=60).read().decode()
        if "north-9" not in answer:
            sys.exit(f"{load.path}: {answer}")
    return [
        ("get", (1, 64), one), ("page of 50 with total", (1, 64), newest), ("page of 50 without total", (1, 64), plain),
        ("call of a tool over MCP", (1, 16), mcp), ("call of a tool over REST", (1, 16), invoke), ("create, 1 KB", (1, 8, 64), created),
    ]


def figure(of):
    rates, p50 = [f[0] for f in of], statistics.median(f[1] for f in of)
    return f"{statistics.median(rates):,.0f} /s ({min(rates):,.0f} to {max(rates):,.0f}), {p50 / 1000:,.2f} ms"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, help="where to keep what is built and installed; default: a temporary folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of one measurement")
    parser.add_argument("--size", type=int, default=20_000, help="integrations in the workspace that is read; of ContextForge a fiftieth")
    parser.add_argument("--only", default="", help="only rows that begin with this")
    parser.add_argument("--build-only", action="store_true")
    args = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing; Debian and Ubuntu have it: apt-get install wrk")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    with contextlib.ExitStack() as stack:
        temporary = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peers-")))
        folder = args.folder or temporary
        folder.mkdir(parents=True, exist_ok=True)
        program, pocketbase, forge = build(folder)
        if args.build_only:
            return
        data = temporary / "data"
        data.mkdir()
        servers = {BARE: start_upstream(stack, program, data), OURS: start_ours(stack, program, data),
                   POCKET: start_pocketbase(stack, pocketbase, data, ""), SYNCED: start_pocketbase(stack, pocketbase, data, "FULL"),
                   FORGE: start_forge(stack, forge, data)}
        for name, load in creating(servers, "filled").items():
            if name != SYNCED:
                load.fill(16 if name == FORGE else 64, SLOW if name == FORGE else 1, args.size // 50 if name == FORGE else args.size)
        results, rows = {}, [row for row in works(servers) if row[0].startswith(args.only)]
        for turn in range(args.rounds):
            for work, connections, loads in rows:
                for c in connections:
                    for name, load in loads.items():
                        if name == FORGE and c not in (1, 16):
                            continue
                        seconds = max(SLOW, args.seconds) if name == FORGE else args.seconds
                        results.setdefault((work, c), {}).setdefault(name, []).append(load.run(c, seconds, f"t{turn}c{c}x"))
                    print(f"round {turn + 1}: {work}, {c}", file=sys.stderr, flush=True)
        versions = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
        print(f"{datetime.date.today()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {versions}; PocketBase {POCKETBASE}; "
              f"ContextForge {CONTEXTFORGE}; {args.rounds} rounds of {args.seconds} s\n")
        columns = (OURS, POCKET, SYNCED, FORGE, BARE)
        print("| work, connections | " + " | ".join(columns) + " |\n|---" * 1 + "|---" * len(columns) + "|")
        for (work, c), of in results.items():
            print(f"| {work}, {c} | " + " | ".join(figure(of[n]) if n in of else "" for n in columns) + " |")
        print("| memory after it | " + " | ".join(f"{servers[n].resident():.0f} MB" for n in columns) + " |")


if __name__ == "__main__":
    main()
