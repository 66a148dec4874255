#!/usr/bin/env python3
"""Draws flame graphs of the service under load: create, get, list and invoke, 16 connections each.

    tools/peers/flame.py            # writes docs/flame-create.svg and so on; about a minute

A box is a function; those above it were called by it, and its width is its share of the CPU time. Functions with a small share
are left out. It needs Go and wrk.
"""

import argparse
import contextlib
import html
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import run

OURS = "github.com/seed677028b5/integrations/"
WIDTH, ROW, FRAMES = 1200, 16, 260
COLOURS = (  # by what a name begins with; the last is for all others
    ("this service", "#f2b35e", (OURS, "main.")),
    ("NATS", "#8fb8de", ("github.com/nats-io/", "github.com/synadia-io/")),
    ("SQLite", "#a6cf8f", ("github.com/ncruces/", "database/sql")),
    ("HTTP", "#d8a8cf", ("net/http", "github.com/gin-gonic/", "net.", "internal/poll", "bufio")),
    ("JSON", "#e8d27a", ("encoding/json", "github.com/go-json-experiment/")),
    ("runtime and others", "#cfcfcf", ("",)),
)


def stacks(profile):
    """The samples of a CPU profile: their milliseconds, and their functions from the outermost to the innermost."""
    text = subprocess.run(["go", "tool", "pprof", "-traces", profile], check=True, capture_output=True, text=True).stdout
    for block in text.split("-----------+")[1:]:
        lines = [line.strip() for line in block.splitlines()[1:] if line.strip() and ":  " not in line]
        if not lines:
            continue
        value, leaf = lines[0].split(None, 1)
        unit = next(u for u in ("ms", "us", "s") if value.endswith(u))
        ms = float(value[:-len(unit)]) * {"ms": 1, "us": 0.001, "s": 1000}[unit]
        yield ms, [name.removesuffix(" (inline)") for name in reversed([leaf, *lines[1:]])]


def tree(samples):
    """A node is a pair of milliseconds and the nodes above it, by name."""
    root = [0.0, {}]
    for ms, names in samples:
        root[0] += ms
        node = root
        for name in names:
            node = node[1].setdefault(name, [0.0, {}])
            node[0] += ms
    return root


def boxes(node, least, x=0.0, depth=0):
    """Depth, left edge and milliseconds of each function that has at least so many."""
    for name, child in sorted(node[1].items()):
        if child[0] >= least:
            yield depth, x, child[0], name
            yield from boxes(child, least, x, depth + 1)
        x += child[0]


def short(name):
    for prefix, to in ((OURS, ""), ("github.com/nats-io/nats-server/v2/", "nats-"), ("github.com/nats-io/", ""), ("github.com/ncruces/", ""),
                       ("github.com/gin-gonic/", ""), ("github.com/go-json-experiment/", "")):
        name = name.removeprefix(prefix) if not to else name.replace(prefix, to, 1)
    return name.split("[go.shape")[0].replace("%2e", ".")


def draw(root, title):
    least = root[0] / 1000
    shown = list(boxes(root, least))
    while len(shown) > FRAMES:
        least *= 1.1
        shown = list(boxes(root, least))
    rows = max(depth for depth, *_ in shown) + 1
    height = rows * ROW + 50
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/><text x="4" y="16" font-size="14">{html.escape(title)}</text>']
    at = 4
    for label, colour, _ in COLOURS:
        out.append(f'<rect x="{at}" y="24" width="12" height="12" fill="{colour}"/><text x="{at + 16}" y="34">{label}</text>')
        at += 36 + 7 * len(label)
    scale = WIDTH / root[0]
    for depth, x, ms, name in shown:
        colour = next(c for _, c, begins in COLOURS if name.startswith(begins))
        left, width, top = x * scale, ms * scale, height - (depth + 1) * ROW
        label = html.escape(short(name))
        fits = int(width / 6.2)
        inside = short(name) if len(short(name)) <= fits else short(name).rsplit(".", 1)[-1][:fits]
        text = f'<text x="{left + 2:.0f}" y="{top + 12}">{html.escape(inside)}</text>' if fits > 3 else ""
        out.append(f'<g><title>{label} {100 * ms / root[0]:.1f} %</title>'
                   f'<rect x="{left:.1f}" y="{top}" width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}" fill="{colour}"/>{text}</g>')
    return "\n".join(out) + "\n</svg>\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, help="a built program; default: build it")
    parser.add_argument("--seconds", type=int, default=8, help="of each profile")
    parser.add_argument("--to", type=pathlib.Path, default=run.REPOSITORY / "docs")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flame-")))
        program = args.program or folder / "integrations"
        if not args.program:
            subprocess.run(["go", "build", "-o", program, "./cmd/integrations"], cwd=run.REPOSITORY, check=True)
        upstream = run.start_upstream(stack, program, folder)
        debug = f"127.0.0.1:{run.free_port()}"
        ours = run.start_ours(stack, program, folder, f"--debug-listen={debug}")
        creates = run.creating({run.BARE: upstream, run.OURS: ours}, "filled", (run.OURS,))[run.OURS]
        creates.fill(64, 1, 5000)
        first = ours.request("GET", "/v1/filled/integrations?limit=50&builtin=false")["items"][0]
        for name, load in {
            "get": run.Load(ours, "GET", "/v1/filled/integrations/" + first["id"]),
            "list": run.Load(ours, "GET", "/v1/filled/integrations?limit=50"),
            "invoke": run.invoking(ours, upstream),
            "create": creates,
        }.items():
            loading = threading.Thread(target=load.run, args=(16, args.seconds + 2, name))
            loading.start()
            time.sleep(1)  # warm
            with urllib.request.urlopen(f"http://{debug}/debug/pprof/profile?seconds={args.seconds}", timeout=60) as answer:
                profile = folder / (name + ".pprof")
                profile.write_bytes(answer.read())
            loading.join()
            file = args.to / f"flame-{name}.svg"
            file.write_text(draw(tree(stacks(profile)), f"{name}, 16 connections: CPU time of the service"))
            print(f"{file}: {file.stat().st_size:,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
