#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Draws the dashboard without Grafana: draw.py URL BEGIN END [TITLE...] >dashboard.svg.

What each panel of ringraid.json asks for, the Prometheus at URL is asked for, from BEGIN to
END (seconds since 1970), and its answers are drawn in the panel's place, plainly. So every
expression has been evaluated by who evaluates it for Grafana. Panels are those of which
TITLE is the beginning of the title, or all.
"""
import html
import json
import os
import sys
import urllib.parse
import urllib.request

WIDTH, ROW, GAP, TOP = 45, 26, 4, 20  # of the grid: pixels a column, a row, between panels
COLOURS = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0"]
STEPS = 60
RATE = "20s"
SCALES = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "u")]


def short(value):
    for by, name in SCALES:
        if abs(value) >= by * 0.9995:
            return f"{value / by:.3g}{name}"
    return "0" if value == 0 else f"{value:.1g}"


def asked(url, expr, begin, end):
    for name, value in (("$__rate_interval", RATE), ("$array", ".*"), ("$instance", ".*")):
        expr = expr.replace(name, value)
    query = urllib.parse.urlencode({"query": expr, "start": begin, "end": end,
                                    "step": (end - begin) / STEPS})
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{query}") as answer:
        return [(one["metric"], [(float(at), float(value)) for at, value in one["values"]])
                for one in json.load(answer)["data"]["result"]]


def legend(form, metric):
    for key, value in metric.items():
        form = form.replace("{{" + key + "}}", value)
    return form


def text(x, y, what, size=9, colour="#ccc", end=False):
    anchor = ' text-anchor="end"' if end else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}"{anchor}>{html.escape(what)}</text>'


class Box:
    """Where a panel's values are drawn."""

    def __init__(self, x, y, w, h, begin, end, most):
        self.x, self.y, self.w, self.h = x + 34, y + 22, w - 42, h - 40
        self.begin, self.end, self.most = begin, end, most or 1

    def at(self, when, value):
        return (self.x + (when - self.begin) / (self.end - self.begin) * self.w,
                self.y + self.h - value / self.most * self.h)


def lines(box, series, unit):
    out = []
    for part in (0, 0.5, 1):
        y = box.y + box.h * (1 - part)
        out.append(f'<path d="M{box.x} {y:.0f}h{box.w}" stroke="#333"/>')
        out.append(text(box.x - 3, y + 3, short(box.most * part) + ("s" if unit == "s" else ""), 8, end=True))
    for i, (name, values) in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        points = [box.at(*one) for one in values if one[1] == one[1]]
        if points:
            path = "L".join(f"{x:.0f} {y:.0f}" for x, y in points)
            out.append(f'<path d="M{path}" fill="none" stroke="{colour}"/>')
        if i < 6:
            out.append(text(box.x + i % 3 * box.w / 3, box.y + box.h + 10 + i // 3 * 9, name[:28], 7, colour))
    return out


def heat(box, series):
    """Each bucket less the one below; a row for each that ever has something."""
    order = sorted(series, key=lambda one: float(one[0]["le"]))
    rows, below = [], {}
    for metric, values in order:
        rows.append((metric["le"], {at: max(0, value - below.get(at, 0)) for at, value in values}))
        below = dict(values)
    used = [i for i, (_, row) in enumerate(rows) if any(row.values())]
    if not used:
        return []
    rows = rows[min(used):max(used) + 1]
    most = max(max(row.values(), default=0) for _, row in rows)
    labels = []
    out, high, wide = ['<g fill="#5794f2">'], box.h / len(rows), box.w / STEPS
    for i, (le, row) in enumerate(rows):
        y = box.y + box.h - (i + 1) * high
        bound = "more" if le == "+Inf" else short(float(le)) + "s"
        labels.append(text(box.x - 3, y + 4, bound, 7, end=True))
        for at, value in row.items():
            if value > 0:
                x = box.at(at, 0)[0]
                out.append(f'<path d="M{x:.1f} {y:.1f}h{wide:.1f}v{high - 1:.1f}h-{wide:.1f}z" '
                           f'opacity="{0.1 + 0.9 * (value / most) ** 0.5:.2f}"/>')
    return out + ["</g>"] + labels


def stat(x, y, series, end):
    """What is so at the end, as an instant query has it."""
    shown = [f"{name} {values[-1][1]:g}" for name, values in series if values[-1][0] >= end]
    return [text(x + 12, y + 48 + i * 14, one, 13, "#7eb26d") for i, one in enumerate(shown[:3])]


def drawn(panel, place, url, begin, end):
    x, y, w, h = place
    out = [f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="3" fill="#181b1f"/>',
           text(x + 8, y + 15, panel["title"], 11, "#ddd")]
    answers = [(one["legendFormat"], asked(url, one["expr"], begin, end)) for one in panel["targets"]]
    series = [(legend(form, metric), values) for form, all_of in answers for metric, values in all_of]
    most = max((value for _, values in series for _, value in values if value == value), default=0)
    box = Box(x, y, w, h, begin, end, most)
    if panel["type"] == "stat":
        out += stat(x, y, series, end)
    elif panel["type"] == "heatmap":
        out += heat(box, answers[0][1])
    else:
        out += lines(box, series, panel["fieldConfig"]["defaults"]["unit"])
    if not series:
        print(f"{panel['title']}: no data", file=sys.stderr)
    return out


def main():
    url, begin, end, titles = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ringraid.json"),
              encoding="utf-8") as file:
        dashboard = json.load(file)
    panels = [one for one in dashboard["panels"]
              if not titles or any(one["title"].startswith(title) for title in titles)]
    # In their order, without the holes of those that are left out.
    out, x, y, high = [], 0, 0, 0
    for panel in panels:
        w, h = panel["gridPos"]["w"], panel["gridPos"]["h"]
        if x + w > 24:
            x, y = 0, y + high
        place = (x * WIDTH + GAP, TOP + y * ROW + GAP, w * WIDTH - GAP, h * ROW - GAP)
        out += drawn(panel, place, url, begin, end)
        x, high = x + w, h
    whole = (24 * WIDTH + 2 * GAP, TOP + (y + high) * ROW + 2 * GAP)
    print("<!-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause -->")
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole[0]} {whole[1]}" '
          f'font-family="sans-serif">\n<rect width="{whole[0]}" height="{whole[1]}" fill="#0b0c0e"/>')
    print(text(8, 16, dashboard["title"], 13, "#eee"))
    print("\n".join(out) + "\n</svg>")


main()
