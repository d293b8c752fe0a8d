#!/usr/bin/env python3
"""Turns what the benches print into benches/results.json, the table in BENCHMARKS.md and
benches/plot.svg. Python 3, nothing beyond its standard library. Run by tools/bench.

    report.py collect LOG [--print]   results.json from a log (--print: show it, keep nothing)
    report.py write                   table and plot from results.json
    report.py check                   fails when the table is not that of results.json

A log holds lines `command<TAB>..`, `peer<TAB>name<TAB>version` and
`result<TAB>row<TAB>value<TAB>unit<TAB>ratio<TAB>against`; other lines are passed over, but
for those of the benches `durable` and `verify`, which are read as they are.
"""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import rows as spec
from plot import plot

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
BENCHMARKS = HERE.parent / "BENCHMARKS.md"
PLOT = HERE / "plot.svg"
UNIT = "hash-256"


def main(arguments):
    match arguments:
        case ["collect", log]:
            RESULTS.write_text(json.dumps(collect(Path(log)), indent=1) + "\n")
        case ["collect", log, "--print"]:
            for line in table(collect(Path(log))):
                print(line)
        case ["write"]:
            results = json.loads(RESULTS.read_text())
            BENCHMARKS.write_text(fill(BENCHMARKS.read_text(), results))
            PLOT.write_text(plot(results))
        case ["check"]:
            results = json.loads(RESULTS.read_text())
            text = BENCHMARKS.read_text()
            if fill(text, results) != text or PLOT.read_text() != plot(results):
                sys.exit("BENCHMARKS.md or benches/plot.svg is not what results.json says")
        case _:
            sys.exit(__doc__)


# --- From the log ------------------------------------------------------------------------


def collect(log):
    """Every row with the command it comes from, its target and whether it is met."""
    rows, peers, command, unit = [], {}, "", None
    for line in log.read_text(errors="replace").splitlines():
        parts = line.split("\t")
        if parts[0] == "command":
            command = parts[1]
        elif parts[0] == "peer":
            peers[parts[1]] = parts[2]
        elif parts[0] == "result" and len(parts) == 6:
            _, row, value, kind, ratio, against = parts
            if row == UNIT:
                unit = int(value)
            rows.append(entry(row, int(value), kind, ratio, against, command, unit))
        else:
            found = [*durable(line), *checked(line)]
            rows.extend(entry(*parts, command, None) for parts in found)
    return {"machine": machine(), "peers": peers, "rows": rows}


def entry(row, value, unit, ratio, against, command, hash_picos):
    found = {"row": row, "value": value, "unit": unit, "command": command}
    if ratio != "-":
        found |= {"ratio": float(ratio), "against": against}
    if unit == "ps" and hash_picos:
        found["hashes"] = round(value / hash_picos, 3)
    if target := spec.TARGETS.get((row, found.get("against"))) or spec.TARGETS.get((row, None)):
        found["target"] = target.text
        found["met"] = target.holds(found)
    return found


DURABLE = re.compile(r"\s*(\d+) in flight on\s+(\d+) threads: raw\s+(\d+)/s, store\s+(\d+)/s, store/raw\s+([\d.]+)")
OPENING = re.compile(r"opening: (\d+) to (\d+) us")
VERIFY = re.compile(
    r"(memory|redb)\s+(\d+)\s+(.+?)\s+(\d+) ns\s+(\d+) ns\s+([\d.]+)x\s+(\d+) ns\s+([\d.]+)x"
)


def durable(line):
    """The lines of the bench `durable`: appends per second beside a raw file's."""
    if found := DURABLE.match(line):
        flight, threads, raw, store, ratio = found.groups()
        name = flight if flight == threads else f"{flight}-handed-over"
        yield f"raw-{name}", int(raw), "per second", "-", "-"
        yield f"durable-{name}", int(store), "per second", ratio, f"raw-{name}"
    elif found := OPENING.match(line):
        yield "opening", int(found[1]) * 1_000_000, "ps", "-", "-"


def checked(line):
    """The lines of the bench `verify`: times per record, speed beside hashing one by one."""
    if found := VERIFY.match(line):
        store, streams, bodies, one, many, many_ratio, whole, ratio = found.groups()
        name = f"{store}-{streams}-{bodies.replace(' ', '-')}"
        yield f"hash-records-{name}", int(one) * 1000, "ps", "-", "-"
        yield f"hash-many-{name}", int(many) * 1000, "ps", many_ratio, f"hash-records-{name}"
        yield f"verify-{name}", int(whole) * 1000, "ps", ratio, f"hash-records-{name}"


def machine():
    """The machine, without a name or a path in it."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*:\s*(.+)", info)
    memory = re.search(r"MemTotal:\s+(\d+)", read("/proc/meminfo"))
    return {
        "cpu": model[1].strip() if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory[1]) / 1048576) if memory else None,
        "virtual": "hypervisor" in info,
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "rustc": " ".join(output("rustc", "--version").split()[:2]),
        "disk": disk(),
    }


def disk():
    """What kind of disk the target folder is on, and with which file system."""
    fields = output("df", "--output=source,fstype", str(HERE)).splitlines()
    if len(fields) < 2:
        return "unknown"
    source, system = fields[1].split()[:2]
    name = re.sub(r"(?<=\d)p\d+$|(?<=[a-z])\d+$", "", source.rsplit("/", 1)[-1])
    kinds = {"vd": "virtual disk", "nv": "NVMe", "sd": "SATA or SCSI disk", "xv": "virtual disk"}
    spins = " that spins" if kinds.get(name[:2], "").startswith("SATA") and (
        read(f"/sys/block/{name}/queue/rotational").strip() == "1"
    ) else ""
    return f"{kinds.get(name[:2], 'disk')}{spins}, {system}"


def read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


# --- The table ---------------------------------------------------------------------------


def fill(text, results):
    """Puts the blocks between their markers; the prose around them stays."""
    blocks = {
        "machine": machine_lines(results["machine"]),
        "table": table(results),
        "peers": peer_table(results),
    }
    for name, lines in blocks.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if begin not in text or end not in text:
            sys.exit(f"BENCHMARKS.md: expected the markers of the block `{name}`")
        head, rest = text.split(begin, 1)
        tail = rest.split(end, 1)[1]
        text = f"{head}{begin}\n" + "\n".join(lines) + f"\n{end}{tail}"
    return text


def machine_lines(machine):
    virtual = "a virtual machine" if machine["virtual"] else "a machine of its own"
    return [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {virtual}; "
        f"{machine['kernel']}; {machine['rustc']}; {machine['disk']}."
    ]


def table(results):
    """Every row of the specification in its order; those that were not measured say so."""
    rows = {(row["row"], row.get("against")): row for row in results["rows"]}
    by_name = named(results)
    lines = []
    for title, shown in spec.SECTIONS:
        lines += [f"### {title}", "", "| what | measured | beside | target | met | command |"]
        lines += ["|---|---:|---|---|---|---|"]
        for row in shown:
            found = rows.get((row.id, row.against)) if row.against else by_name.get(row.id)
            lines.append(line(row, found, by_name))
        lines.append("")
    return lines[:-1]


def line(row, found, by_name):
    if found is None:
        target = spec.TARGETS.get((row.id, row.against)) or spec.TARGETS.get((row.id, None))
        return f"| {row.text} | not measured | | {target.text if target else ''} | | |"
    beside = ""
    if "ratio" in found and found["against"] != found["row"]:
        other = by_name.get(found["against"])
        name = spec.NAMES.get(found["against"], found["against"])
        amount = f" ({shown(other)})" if other and other["row"] != UNIT else ""
        beside = f"{number(found['ratio'])} × {name}{amount}"
    target = found.get("target", "")
    met = {True: "yes", False: "**no**"}.get(found.get("met"), "")
    command = spec.command(found["command"])
    return f"| {row.text} | {shown(found)} | {beside} | {target} | {met} | {command} |"


def shown(row):
    value, unit = row["value"], row["unit"]
    if unit == "ps":
        for size, name in [(10**12, "s"), (10**9, "ms"), (10**6, "µs"), (10**3, "ns")]:
            if value >= size:
                return f"{number(value / size)} {name}"
        return f"{value} ps"
    if unit == "bytes":
        for size, name in [(2**20, "MiB"), (2**10, "KiB")]:
            if value >= size:
                return f"{number(value / size)} {name}"
    return f"{value:,} {unit}"


def number(value):
    """Three digits, no more than that is measured."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def named(results):
    """Rows by name; of several with one name the first, which stands beside most."""
    found = {}
    for row in results["rows"]:
        found.setdefault(row["row"], row)
    return found


def peer_table(results):
    by_name = named(results)
    lines = ["| work | what | version | least time | in hashes | beside ours |"]
    lines += ["|---|---|---|---:|---:|---:|"]
    ours = None
    for work, row, text, peer in spec.PEERS:
        found = by_name.get(row)
        version = results["peers"].get(peer, "") if peer else ""
        name = f"{peer}{', ' + text if text else ''}" if peer else f"prospera, {text}"
        if found is None:
            lines.append(f"| {work} | {name} | {version} | not measured | | |")
            continue
        ours = found["value"] if work else ours
        beside = f"{number(found['value'] / ours)} ×" if peer and ours else ""
        hashes = number(found["hashes"]) if "hashes" in found else ""
        lines.append(f"| {work} | {name} | {version} | {shown(found)} | {hashes} | {beside} |")
    return lines


if __name__ == "__main__":
    main(sys.argv[1:])
