"""The rows of BENCHMARKS.md: what they are called, in which order, and their targets."""

from typing import NamedTuple, Optional


class Target(NamedTuple):
    """A bound on a row's ratio, on its value, or on both."""

    text: str
    ratio_most: Optional[float] = None
    ratio_least: Optional[float] = None
    most: Optional[int] = None

    def holds(self, found):
        ratio = found.get("ratio")
        if (self.ratio_most is not None or self.ratio_least is not None) and ratio is None:
            return None
        return (
            (self.ratio_most is None or ratio <= self.ratio_most)
            and (self.ratio_least is None or ratio >= self.ratio_least)
            and (self.most is None or found["value"] <= self.most)
        )


def none_more():
    return Target("no instruction more", ratio_most=1.0)


MILLISECOND = 10**9

# By row and, where a row stands beside several others, what it stands beside.
TARGETS = {
    ("instructions-transition-typed", "instructions-transition-by-hand"): none_more(),
    ("instructions-layer-step", "instructions-layer-step-by-hand"): none_more(),
    ("request", None): Target("≤ 1.2 ×", ratio_most=1.2),
    ("route", None): Target("≤ 8.6 ×", ratio_most=8.6),
    ("route-over-hashing", None): Target("≤ 1.5 ×", ratio_most=1.5),
    ("route-1000", None): Target("≤ 1.1 ×", ratio_most=1.1),
    ("route-100000", None): Target("≤ 1.1 ×", ratio_most=1.1),
    ("durable-routes-1", None): Target("≥ 0.9 ×", ratio_least=0.9),
    ("durable-routes-64", None): Target("≥ 0.9 ×", ratio_least=0.9),
    ("durable-routes-1024", None): Target("≥ 0.5 ×", ratio_least=0.5),
    ("durable-1", None): Target("≥ 0.9 ×", ratio_least=0.9),
    ("durable-64", None): Target("≥ 0.9 ×", ratio_least=0.9),
    ("durable-1024", None): Target("≥ 0.5 ×", ratio_least=0.5),
    ("verify-memory-64-mixed", None): Target("≥ 0.9 ×", ratio_least=0.9),
    ("verify-redb-64-mixed", None): Target("≥ 0.9 ×", ratio_least=0.9),
    ("allocations-transition-typed", None): Target("0", most=0),
    ("allocations-request", None): Target("0", most=0),
    ("allocations-request-refused", None): Target("0", most=0),
    ("allocations-resolve-10", None): Target("0", most=0),
    ("allocations-resolve-1000", None): Target("0", most=0),
    ("allocations-resolve-100000", None): Target("0", most=0),
    ("peak-routes-1000000", None): Target("flat (≤ 1.1 ×)", ratio_most=1.1),
    ("startup", None): Target("< 50 ms", most=50 * MILLISECOND),
    ("tree-append-256", None): Target("≤ 1.3 ×", ratio_most=1.3),
    ("tree-append-body-256", None): Target("≤ 1.3 ×", ratio_most=1.3),
    ("tree-prove-memory-10m", None): Target("≤ 25 µs", most=MILLISECOND // 40),
    ("tree-check-memory-10m", None): Target("≤ 1.2 ×", ratio_most=1.2),
    ("tree-verify-memory", None): Target("≤ 1.3 ×", ratio_most=1.3),
    ("tree-verify-2-memory", None): Target("≤ 0.556 ×", ratio_most=0.556),
    ("tree-verify-redb", None): Target("≤ 1.3 ×", ratio_most=1.3),
    ("tree-verify-2-redb", None): Target("≤ 0.556 ×", ratio_most=0.556),
    ("peak-tree-10m", None): Target("the same", ratio_most=1.0),
    ("peak-verify-10m", None): Target("the same", ratio_most=1.0),
}


class Row(NamedTuple):
    """One row of the table."""

    id: str
    text: str
    against: Optional[str] = None


SECTIONS = [
    ("One transition", [
        Row("instructions-transition-typed", "typed, beside an enum by hand",
            "instructions-transition-by-hand"),
        Row("instructions-transition-typed", "typed, beside a struct by hand that checks nothing",
            "instructions-transition-trusting"),
        Row("instructions-layer-step", "typed layer step, evidence aside",
            "instructions-layer-step-by-hand"),
        Row("transition-typed", "typed, in time"),
        Row("request", "at run time"),
        Row("edge", "the bare question whether an edge is legal"),
    ]),
    ("One route in memory, eight layers, evidence and outcome hashed", [
        Row("hash-256", "one BLAKE3 hash of 256 bytes, the unit"),
        Row("route", "a whole route"),
        Row("route-over-hashing", "the same, beside the hashing it must do"),
        Row("route-10", "a route under a table of 10 rows"),
        Row("route-1000", "under one of 1,000"),
        Row("route-100000", "under one of 100,000"),
        Row("table-find-10", "a row found among 10"),
        Row("table-find-1000", "among 1,000"),
        Row("table-find-100000", "among 100,000"),
        Row("table-resolve-10", "a Routing ID resolved among 10"),
        Row("table-resolve-1000", "among 1,000"),
        Row("table-resolve-100000", "among 100,000"),
    ]),
    ("Before a route", [
        Row("intent-from-request", "an intent from a request, hashed"),
        Row("intent-from-json", "an intent from JSON, checked and labelled"),
        Row("schema-check", "the JSON Schema of a payment, checked"),
        Row("token", "a session's token verified (JWT, EdDSA)"),
        Row("session-open", "and the session opened"),
    ]),
    ("On disk", [
        Row("durable-routes-1", "durable routes, 1 in flight"),
        Row("durable-routes-64", "durable routes, 64 in flight"),
        Row("durable-routes-1024", "durable routes, 1,024 in flight"),
        Row("durable-1", "durable appends, 1 in flight"),
        Row("durable-64", "durable appends, 64 in flight"),
        Row("durable-64-handed-over", "the same, handed over by 4 threads"),
        Row("durable-1024", "durable appends, 1,024 in flight"),
        Row("durable-1024-handed-over", "the same, handed over by 4 threads"),
        Row("verify-memory-64-mixed", "verify, one core: a record of a log in memory"),
        Row("verify-redb-64-mixed", "verify, one core: a record of a log on disk"),
        Row("hash-many-memory-64-mixed", "hashing the same records many at once"),
        Row("startup-open", "a store of a million records opened"),
        Row("startup", "and ready to route"),
    ]),
    ("The log's tree", [
        Row("tree-append-256", "a record of 256 bytes appended in memory, chain, tree and store"),
        Row("tree-append-body-256", "a record with a body of 256 bytes"),
        Row("tree-append-body-256-hashing", "hashing that one, its leaf and a node"),
        Row("tree-prove-memory-10m", "an inclusion proof made, 10 million records in memory"),
        Row("tree-check-memory-10m", "and verified"),
        Row("tree-prove-redb-1m", "an inclusion proof made, a million records on disk"),
        Row("tree-check-redb-1m", "and verified"),
        Row("tree-verify-memory", "a record of a million in memory verified, one thread"),
        Row("tree-verify-2-memory", "two threads"),
        Row("tree-verify-redb", "a record of a million on disk verified, one thread"),
        Row("tree-verify-2-redb", "two threads"),
    ]),
    ("Memory and size", [
        Row("peak-tree-1m", "peak of appending a million leaves to a tree"),
        Row("peak-tree-10m", "ten million"),
        Row("peak-verify-1m", "peak of verifying a million records, on top of the log"),
        Row("peak-verify-10m", "ten million"),
        Row("allocations-transition-typed", "a typed transition"),
        Row("allocations-request", "a transition at run time"),
        Row("allocations-request-refused", "a transition at run time, refused"),
        Row("allocations-resolve-10", "a route resolved among 10 rows"),
        Row("allocations-resolve-1000", "among 1,000"),
        Row("allocations-resolve-100000", "among 100,000"),
        Row("allocations-intent", "an intent from a request"),
        Row("allocations-route", "a whole route"),
        Row("allocated-route", "bytes that a route asks for"),
        Row("peak-routes-1000", "peak over 1,000 routes"),
        Row("peak-routes-1000000", "peak over a million routes"),
        Row("binary", "the release binary"),
        Row("binary-stripped", "the release binary without its symbols"),
    ]),
    ("Instructions, by callgrind", [
        Row("instructions-request", "a transition at run time", "instructions-request-by-hand"),
        Row("instructions-table-find-rows-10", "a row found among 10"),
        Row("instructions-table-find-rows-1000", "among 1,000"),
        Row("instructions-table-find-rows-100000", "among 100,000"),
        Row("instructions-table-resolve-rows-10", "a Routing ID resolved among 10"),
        Row("instructions-table-resolve-rows-1000", "among 1,000"),
        Row("instructions-table-resolve-rows-100000", "among 100,000"),
        Row("instructions-engine-identity", "the Identity System asked"),
        Row("instructions-engine-intent", "the Intent Engine"),
        Row("instructions-engine-modeling", "the Modeling System"),
        Row("instructions-engine-memory", "the Memory System"),
        Row("instructions-engine-safety", "the Safety System"),
        Row("instructions-engine-kernel", "the Kernel Rules"),
        Row("instructions-engine-governance", "the Governance Layer"),
        Row("instructions-route", "a whole route", "instructions-route-hashing"),
    ]),
]

# What a row that others stand beside is called.
NAMES = {
    "hash-256": "a hash",
    "transition-by-hand": "the enum",
    "instructions-transition-by-hand": "the enum",
    "instructions-transition-trusting": "the struct",
    "instructions-layer-step-by-hand": "the same by hand",
    "instructions-request-by-hand": "a `match` by hand",
    "instructions-route-hashing": "its hashing",
    "request-by-hand": "a `match` by hand",
    "edge-by-hand": "a `match` by hand",
    "route-hashing": "that hashing",
    "route-10": "10 rows",
    "raw-routes-1": "a bare file",
    "raw-routes-64": "a bare file",
    "raw-routes-1024": "a bare file",
    "raw-64-handed-over": "raw appends",
    "raw-1024-handed-over": "raw appends",
    "raw-1": "raw appends",
    "raw-64": "raw appends",
    "raw-1024": "raw appends",
    "peak-routes-1000": "1,000 routes",
    "hash-records-memory-64-mixed": "the speed of one by one",
    "hash-records-redb-64-mixed": "the speed of one by one",
}

# The work (where it changes), the row, what it does, whose it is. The first row of a work
# is ours and what the others stand beside.
PEERS = [
    ("a decision by ten rules", "prospera-rule", "the rule of the Governance Layer", None),
    ("", "regorus-vm", "its virtual machine", "regorus"),
    ("", "cedar", "", "cedar-policy"),
    ("", "regorus", "its interpreter", "regorus"),
    ("one payment let pass", "prospera-rule-payment", "the rule of the Governance Layer", None),
    ("", "regorus-vm-payment", "its virtual machine", "regorus"),
    ("", "cedar-payment", "", "cedar-policy"),
    ("a transition", "prospera-step", "the table alone", None),
    ("", "statig", "", "statig"),
    ("a role check", "prospera-identify", "the whole Identity step", None),
    ("", "casbin-cached", "from its cache", "casbin"),
    ("", "casbin", "", "casbin"),
    ("an audit append in memory", "prospera-append", "one record", None),
    ("", "agentmesh-append", "one entry", "agentmesh"),
    ("a governed action", "prospera-route-agentmesh", "a whole route", None),
    ("", "agentmesh-check-append", "policy check and audit append", "agentmesh"),
]

# The plot: title of a group, and its rows with what they are called and whether it is ours.
PLOT = [
    ("Decide by ten rules", [
        ("prospera-rule", "prospera, rule", True),
        ("regorus-vm", "regorus, machine", False),
        ("cedar", "cedar-policy", False),
        ("regorus", "regorus, interpreter", False),
    ]),
    ("Change state", [
        ("prospera-step", "prospera, table", True),
        ("statig", "statig", False),
        ("request", "prospera, at run time", True),
        ("transition-typed", "prospera, typed verb", True),
    ]),
    ("Check a role", [
        ("prospera-identify", "prospera, identity step", True),
        ("casbin-cached", "casbin, cached", False),
        ("casbin", "casbin", False),
    ]),
    ("Append to an audit log", [
        ("prospera-append", "prospera, record", True),
        ("agentmesh-append", "agentmesh, entry", False),
    ]),
    ("Govern an action", [
        ("agentmesh-check-append", "agentmesh, check and append", False),
        ("route", "prospera, whole route", True),
        ("route-100000", "prospera, 100,000 rows", True),
    ]),
    ("Before a route", [
        ("intent-from-json", "prospera, intent from JSON", True),
        ("token", "prospera, token verified", True),
    ]),
]

# Targets that the plot marks, in hashes of 256 bytes.
MARKS = {"route": 8.6}


def command(text):
    """A command as the table names it."""
    short = text.removeprefix("cargo bench --bench ").split(" ")[0]
    if text.startswith("cargo bench --bench "):
        return f"[{short}](#how-to-run)"
    return f"`{text}`"
