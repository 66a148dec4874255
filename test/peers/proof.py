"""Verifies an inclusion proof and an export by docs/proof.md and RFC 9162, with nothing of ours. Argument, as JSON:

  proof   an answer of GET …/events/{position}/proof
  export  the lines of an export

It prints how many entries it has verified. A difference ends it with an error.
"""

import base64
import hashlib
import json
import struct
import sys
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def field(text):
    return struct.pack(">Q", len(text)) + text


def open_note(note, verifier_key):
    """Verifies a signed note, and returns origin, size and root hash."""
    origin, _, rest = verifier_key.partition("+")
    key = base64.b64decode(rest.partition("+")[2])
    body, _, signatures = note.partition("\n\n")
    name, signature = signatures.splitlines()[0].removeprefix("— ").split(" ")
    signature = base64.b64decode(signature)
    assert name == origin and key[0] == 1 and signature[:4] == sha(name.encode(), b"\n", key)[:4], "another key"
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], body.encode() + b"\n")
    lines = body.split("\n")
    assert lines[0] == origin
    return int(lines[1]), base64.b64decode(lines[2])


def root_of(leaf, index, size, path):
    """RFC 9162, 2.1.3.2."""
    fn, sn, r = index, size - 1, leaf
    for p in path:
        assert sn > 0
        if fn & 1 or fn == sn:
            r = sha(b"\1", p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha(b"\1", r, p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return r


def entry_of(e):
    seconds, _, fraction = e["time"].rstrip("Z").partition(".")
    nanoseconds = int(datetime.fromisoformat(seconds + "+00:00").timestamp()) * 10**9 + int(fraction.ljust(9, "0"))
    text = b"integrations/entry/v1\n" + field(e["subject"].encode()) + struct.pack(">QqQ", e["position"], nanoseconds, len(e["headers"]))
    for name, value in sorted(e["headers"], key=lambda h: h[0].encode()):
        text += field(name.encode()) + field(value.encode())
    return text + field(e["data"].encode() if "data" in e else base64.b64decode(e["data_base64"]))


def tree_of(hashes):
    """RFC 9162, 2.1.1, over subtrees: pairs of a width and a hash."""
    stack = []
    for width, h in hashes:
        while stack and stack[-1][0] == width:
            left = stack.pop()
            width, h = width + left[0], sha(b"\1", left[1], h)
        stack.append((width, h))
    _, root = stack.pop()
    while stack:
        root = sha(b"\1", stack.pop()[1], root)
    return root


options = json.loads(sys.argv[1])
proof = options["proof"]
size, root = open_note(proof["checkpoint"], proof["verifier_key"])
leaf = sha(b"\0", base64.b64decode(proof["entry"]))
assert size == proof["size"] and leaf == base64.b64decode(proof["leaf_hash"])
assert root_of(leaf, proof["position"] - 1, size, map(base64.b64decode, proof["hashes"])) == root, "the proof is wrong"

entries, hashes = 0, []
for line in map(json.loads, options["export"]):
    if "entry" in line:
        hashes.append((1, sha(b"\0", entry_of(line["entry"]))))
        assert hashes[-1][1] == base64.b64decode(line["leaf"]), line["entry"]["position"]
        entries += 1
    elif "covered" in line:
        c = line["covered"]
        hashes.append((c["to"] - c["from"] + 1, base64.b64decode(c["hash"])))
header = json.loads(options["export"][0])["transparency"]
size, root = open_note(header["checkpoint"], proof["verifier_key"])
assert sum(width for width, _ in hashes) == size and tree_of(hashes) == root, "the export is wrong"
print(json.dumps({"entries": entries, "size": size}))
