"""Numbers for record linkage: the restaurants of Fodor's and Zagat's, as comparison patterns.

usage: linkage.py FOLDER > linkage.json

FOLDER holds fodors.csv and zagats.csv. The lists are compared name (exact, Jaro-Winkler 0.92,
0.8), address (exact, 0.85), city (exact), phone (exact); level 0 is the best. `u` is counted
over all pairs; m and the share of matches come from EM with u fixed, over the pairs that share a
phone and over those that share a name, in mpmath with 50 digits. Counts only: no restaurant is
named in the output.
"""
import csv, json, re, sys
import mpmath as mp

mp.mp.dps = 50


def jaro_winkler(a, b):
    reach = max(max(len(a), len(b)) // 2 - 1, 0)
    hit_a, hit_b, common = [False] * len(a), [False] * len(b), 0
    for i, c in enumerate(a):
        for j in range(max(0, i - reach), min(len(b), i + reach + 1)):
            if not hit_b[j] and b[j] == c:
                hit_a[i] = hit_b[j] = True
                common += 1
                break
    if not common:
        return 0.0
    x = [c for c, hit in zip(a, hit_a) if hit]
    y = [c for c, hit in zip(b, hit_b) if hit]
    swaps = sum(p != q for p, q in zip(x, y)) // 2
    jaro = (common / len(a) + common / len(b) + (common - swaps) / common) / 3
    prefix = 0
    for p, q in zip(a[:4], b[:4]):
        if p != q:
            break
        prefix += 1
    return jaro + prefix * 0.1 * (1 - jaro) if jaro > 0.7 else jaro


def rows(path):
    plain = lambda s: " ".join(re.sub(r"[^a-z0-9 ]", " ", s.lower()).split())
    digits = lambda s: re.sub(r"\D", "", s)[:10]
    with open(path, newline="") as file:
        return [(plain(r["name"]), plain(r["addr"]), plain(r["city"]), digits(r["phone"]))
                for r in csv.DictReader(file)]


THRESHOLDS = [[0.92, 0.8], [0.85], [], []]
LEVELS = [4, 3, 2, 2]


def level(a, b, thresholds):
    if a == b:
        return 0
    if thresholds:
        similarity = jaro_winkler(a, b)
        for number, threshold in enumerate(thresholds, 1):
            if similarity >= threshold:
                return number
    return len(thresholds) + 1


def fit(counts, u, fields, tolerance=mp.mpf(10) ** -9):
    share = mp.mpf(3) / 10
    m = [[mp.mpf(95) / 100] + [mp.mpf(5) / 100 / (LEVELS[f] - 1)] * (LEVELS[f] - 1) for f in fields]
    rounds = 0
    while True:
        rounds += 1
        weight = {}
        for pattern in counts:
            odds = share / (1 - share)
            for place, (field, found) in enumerate(zip(fields, pattern)):
                odds *= m[place][found] / u[field][found]
            weight[pattern] = odds / (1 + odds)
        matched = sum(counts[p] * weight[p] for p in counts)
        new_share = matched / sum(counts.values())
        new_m = [[sum(counts[p] * weight[p] for p in counts if p[place] == found) / matched
                  for found in range(LEVELS[field])] for place, field in enumerate(fields)]
        change = max([abs(share - new_share)] + [abs(x - y) for a, b in zip(m, new_m) for x, y in zip(a, b)])
        share, m = new_share, new_m
        if change < tolerance or rounds == 200:
            break
    text = lambda number: mp.nstr(number, 25)
    return {
        "fields": fields,
        "patterns": [[list(p), counts[p]] for p in sorted(counts)],
        "rounds": rounds,
        "share": text(share),
        "m": [[text(x) for x in of] for of in m],
        "bits": [[text(mp.log(x / u[f][n], 2)) for n, x in enumerate(of)] for f, of in zip(fields, m)],
    }


def main(folder):
    ours, theirs = rows(f"{folder}/fodors.csv"), rows(f"{folder}/zagats.csv")
    totals = [[0] * n for n in LEVELS]
    blocks = {3: {}, 0: {}}
    for a in ours:
        for b in theirs:
            pattern = tuple(level(a[f], b[f], THRESHOLDS[f]) for f in range(4))
            for field, found in enumerate(pattern):
                totals[field][found] += 1
            for block, counts in blocks.items():
                if a[block] == b[block]:
                    key = tuple(pattern[f] for f in range(4) if f != block)
                    counts[key] = counts.get(key, 0) + 1
    pairs = len(ours) * len(theirs)
    u = [[mp.mpf(n) / pairs for n in of] for of in totals]
    json.dump({
        "levels": LEVELS, "pairs": pairs, "totals": totals,
        "same phone": fit(blocks[3], u, [0, 1, 2]),
        "same name": fit(blocks[0], u, [1, 2, 3]),
    }, sys.stdout, indent=1)
    print()


main(sys.argv[1])
