"""Known answers for Routing IDs and intents, from the documented encodings alone.

Shares no code with the crate: BLAKE3's key derivation for short inputs (its
specification, 2.1 to 2.3) and the encodings as the module documentation has them.
Run it in this folder to write routing_id.json and intent.json anew.
"""
import json
import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
      0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTE = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, ROOT, CONTEXT, MATERIAL = 1, 2, 8, 32, 64


def compress(cv, block, length, flags):
    m = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    v = list(cv) + list(IV[:4]) + [0, 0, length, flags]

    def g(a, b, c, d, x, y):
        for word, r1, r2 in ((x, 16, 12), (y, 8, 7)):
            v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
            t = v[d] ^ v[a]
            v[d] = (t >> r1 | t << (32 - r1)) & 0xFFFFFFFF
            v[c] = (v[c] + v[d]) & 0xFFFFFFFF
            t = v[b] ^ v[c]
            v[b] = (t >> r2 | t << (32 - r2)) & 0xFFFFFFFF

    for _ in range(7):
        for i, (a, b, c, d) in enumerate(((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14),
                                          (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12),
                                          (2, 7, 8, 13), (3, 4, 9, 14))):
            g(a, b, c, d, m[2 * i], m[2 * i + 1])
        m = [m[i] for i in PERMUTE]
    return [v[i] ^ v[i + 8] for i in range(8)]


def one_chunk(key, data, mode):
    assert len(data) <= 1024
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    cv = key
    for i, block in enumerate(blocks):
        flags = mode | (CHUNK_START if i == 0 else 0)
        flags |= CHUNK_END | ROOT if i == len(blocks) - 1 else 0
        cv = compress(cv, block, len(block), flags)
    return cv


def derive(context, data):
    key = one_chunk(IV, context.encode(), CONTEXT)
    return struct.pack("<8I", *one_chunk(key, data, MATERIAL))


def u32(n):
    return struct.pack("<I", n)


def text(t):
    return u32(len(t.encode())) + t.encode()


def value(v):
    if v is None:
        return b"\0"
    if isinstance(v, bool):
        return bytes([1, v])
    if isinstance(v, int):
        return b"\2" + v.to_bytes(16, "little", signed=True) + b"\0"
    if isinstance(v, tuple):  # mantissa, scale
        return b"\2" + v[0].to_bytes(16, "little", signed=True) + bytes([v[1]])
    if isinstance(v, str):
        return b"\3" + text(v)
    if isinstance(v, list):
        return b"\4" + u32(len(v)) + b"".join(map(value, v))
    pairs = sorted(v.items(), key=lambda kv: kv[0].encode())
    return b"\5" + u32(len(pairs)) + b"".join(text(k) + value(x) for k, x in pairs)


USER, OUTSIDE_WEB = b"\1", b"\6" + text("web")


def label(*sources):
    return u32(len(sources)) + b"".join(sources) + b"\0"


def routing_ids():
    same = lambda byte: bytes([byte]) * 32
    base = dict(intent=same(1), objective=same(2), snapshot=same(3), flags=0, agreed=[])
    cases = [
        ("nothing raised, nobody voted", {}),
        ("two flags, in two bytes", dict(flags=0x0202)),
        ("every flag", dict(flags=0x3FF)),
        ("identity and intent agreed", dict(agreed=[1, 2])),
        ("execution agreed, in the last bits", dict(agreed=[8])),
        ("no memory yet", dict(snapshot=same(0))),
        ("intent and objective swapped", dict(intent=same(2), objective=same(1))),
        ("all digests zero", dict(intent=same(0), objective=same(0), snapshot=same(0))),
    ]
    for description, changes in cases:
        c = {**base, **changes}
        votes = sum(1 << 2 * (step - 1) for step in c["agreed"])
        data = c["intent"] + c["objective"] + c["snapshot"]
        data += struct.pack("<IH", c["flags"], votes)
        yield {"description": description, "intent": c["intent"].hex(),
               "objective": c["objective"].hex(), "snapshot": c["snapshot"].hex(),
               "flags": c["flags"], "agreed": c["agreed"], "bytes": data.hex(),
               "id": derive("prospera 2026 routing id v1", data).hex()}


def intents():
    # Catalogue: version `1`, kind `pay`, any shape for `amount`, `note` and `to`.
    check = text("shapes") + u32(3)
    check += b"".join(text(name) + b"\0\0" for name in ("amount", "note", "to")) + u32(0)
    kind = text("pay") + text("Pays.") + b"\2" + u32(1 << 0 | 1 << 3) + text("payments") + b"\0"
    catalogue = text("catalogue v1") + text("1") + u32(1) + kind + u32(len(check)) + check
    digest = derive("prospera 2026 catalogue v1", catalogue)
    plain = text("pay") + text("alice") + text("s-1") + b"\0" + u32(0) + u32(0) + b"\0" + digest
    full = (text("pay") + text("alice") + text("s-1") + b"\1" + text("r-7") + u32(3)
            + text("amount") + value((987, 1)) + label(USER)
            + text("note") + value({"b": [1, True, None], "a": "é"}) + label(USER, OUTSIDE_WEB)
            + text("to") + value("DE1") + label(USER)
            + u32(1) + text("landlord") + struct.pack("<Q", 3)
            + b"\1" + bytes([5]) * 32 + digest)
    return {"catalogue": digest.hex(),
            "objective": derive("prospera 2026 objective v1", "Pay the rent.".encode()).hex(),
            "plain": {"bytes": plain.hex(), "hash": derive("prospera 2026 intent v1", plain).hex()},
            "full": {"bytes": full.hex(), "hash": derive("prospera 2026 intent v1", full).hex()}}


if __name__ == "__main__":
    # BLAKE3's own test vector for key derivation of the empty input.
    own = derive("BLAKE3 2019-12-27 16:29:52 test vectors context", b"").hex()
    assert own == "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d", own
    for name, content in (("routing_id", list(routing_ids())), ("intent", intents())):
        with open(name + ".json", "w", encoding="utf-8") as out:
            json.dump(content, out, indent=1)
            out.write("\n")
