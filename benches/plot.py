"""A dot plot as SVG: what each piece of work costs, on a logarithmic axis of hashes."""

import math
from html import escape

import rows as spec

WIDTH, LEFT, RIGHT = 880, 270, 84
TOP, STEP, GROUP, FOOT = 84, 24, 34, 54

STYLE = """
  .card { fill: #ffffff; stroke: #d8dee4 }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .quiet, .tick { fill: #59636e; font-size: 12px }
  .group { font-weight: 600 }
  .grid { stroke: #d8dee4; stroke-width: 1 }
  .fine { stroke: #eef1f4; stroke-width: 1 }
  .unit { stroke: #59636e; stroke-width: 1; stroke-dasharray: 3 3 }
  .bar { stroke: #c9d1d9; stroke-width: 2 }
  .bar.ours { stroke: #9ec5f4 }
  .dot { fill: #8b949e }
  .dot.ours { fill: #0969da }
  .mark { stroke: #bc4c00; stroke-width: 2.5 }
  .marked { fill: #bc4c00; font-size: 12px }
  .strong { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .quiet, .tick { fill: #9198a1 }
    .grid { stroke: #30363d }
    .fine { stroke: #1c2128 }
    .unit { stroke: #9198a1 }
    .bar { stroke: #3d444d }
    .bar.ours { stroke: #1f4f8f }
    .dot { fill: #9198a1 }
    .dot.ours { fill: #58a6ff }
    .mark { stroke: #f0883e }
    .marked { fill: #f0883e }
  }
"""


def plot(results):
    """The plot of every group that has rows."""
    by_name = {row["row"]: row for row in results["rows"] if "hashes" in row}
    groups = []
    for title, shown in spec.PLOT:
        found = [(text, by_name[row], ours, spec.MARKS.get(row))
                 for row, text, ours in shown if row in by_name]
        if found:
            groups.append((title, found))
    values = [row["hashes"] for _, shown in groups for _, row, _, _ in shown]
    low = 10.0 ** math.floor(math.log10(min(values)))
    high = 10.0 ** math.ceil(math.log10(max(values) * 1.3))
    rows = sum(len(shown) for _, shown in groups)
    bottom = TOP + len(groups) * GROUP + rows * STEP
    height = bottom + FOOT

    def at(value):
        share = math.log10(value / low) / math.log10(high / low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title desc">',
        '<title id="title">What each piece of work costs</title>',
        f'<desc id="desc">{escape(described(groups))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        '<text class="title" x="24" y="34">What each piece of work costs</text>',
        '<text class="quiet" x="24" y="55">least time of one call, in BLAKE3 hashes of 256 '
        "bytes taken in the same run; to the left is faster</text>",
    ]
    out += axis(low, high, at, bottom)
    y = TOP
    for title, shown in groups:
        y += GROUP
        out.append(f'<text class="group" x="24" y="{y - 6}">{escape(title)}</text>')
        for text, row, ours, target in shown:
            out += dot(text, row["hashes"], ours, target, y + STEP / 2, at)
            y += STEP
    legend_y = height - 16
    out += [
        f'<circle class="dot ours" cx="30" cy="{legend_y - 4}" r="5"/>',
        f'<text class="quiet" x="42" y="{legend_y}">prospera</text>',
        f'<circle class="dot" cx="122" cy="{legend_y - 4}" r="5"/>',
        f'<text class="quiet" x="134" y="{legend_y}">another library</text>',
        f'<line class="mark" x1="250" x2="250" y1="{legend_y - 11}" y2="{legend_y + 3}"/>',
        f'<text class="quiet" x="260" y="{legend_y}">target</text>',
        "</svg>",
    ]
    return "\n".join(out) + "\n"


def axis(low, high, at, bottom):
    """Lines at each power of ten, fine ones between, and the unit."""
    out = []
    power = low
    while power <= high * 1.001:
        x = at(power)
        for times in range(2, 10):
            if power * times < high:
                fine = at(power * times)
                out.append(f'<line class="fine" x1="{fine:.1f}" x2="{fine:.1f}" '
                           f'y1="{TOP + 4}" y2="{bottom + 6}"/>')
        kind = "unit" if abs(power - 1) < 1e-9 else "grid"
        out.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom + 6}"/>')
        label = f"{power:g}" if power < 1 else f"{power:,.0f}"
        label = "1 hash" if kind == "unit" else label
        out.append(f'<text class="tick" x="{x:.1f}" y="{TOP - 6}" text-anchor="middle">{label}</text>')
        power *= 10
    return out


def dot(text, value, ours, target, y, at):
    kind = " ours" if ours else ""
    x, strong = at(value), " strong" if ours else ""
    out = [
        f'<text class="{strong.strip()}" x="{LEFT - 14}" y="{y + 4:.1f}" text-anchor="end">'
        f"{escape(text.strip())}</text>",
        f'<line class="bar{kind}" x1="{LEFT}" x2="{x:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<circle class="dot{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>',
    ]
    label_x = x + 11
    if target is not None:
        mark = at(target)
        out.append(f'<line class="mark" x1="{mark:.1f}" x2="{mark:.1f}" y1="{y - 8:.1f}" y2="{y + 8:.1f}"/>')
        # The label keeps clear of a mark right behind the dot.
        if x - 6 < mark < x + 60:
            label_x = mark + 8
    out.append(f'<text class="tick{strong}" x="{label_x:.1f}" y="{y + 4:.1f}">{amount(value)}</text>')
    return out


def amount(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def described(groups):
    """The same in words, for whoever does not see it."""
    parts = []
    for title, shown in groups:
        rows = ", ".join(f"{text.strip()} {amount(row['hashes'])}" for text, row, _, _ in shown)
        parts.append(f"{title}: {rows}")
    return "; ".join(parts) + "."
