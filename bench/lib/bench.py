# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the figures are made with: a guest's records, tables, plots."""

import json
import os
import textwrap

COMPETITORS = ["raw", "md", "md-tuned", "md-ppl", "bpf", "bpf-xor", "bpf-nvme", "user", "null", "linear"]
COLOURS = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2",
           "#97bbf5", "#9c6b4e", "#9498a0", "#1b4d3e", "#c9b458", "#7a0019", "#333333"]


def read(path, default=""):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return default


class Raw:
    """The directory that a guest's /out came back as."""

    def __init__(self, directory):
        self.directory = directory
        self.runs = [json.loads(line) for line in read(self.path("runs.jsonl")).splitlines()]
        self.machine = json.loads(read(self.path("machine.json"), "{}"))

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def of(self, run, name):
        return read(self.path("run-%d" % run["run"], name))


def groups(runs, *keys):
    """Runs by the values of keys, in the order of their first appearance."""
    found = {}
    for run in runs:
        found.setdefault(tuple(run[k] for k in keys), []).append(run)
    return found


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def spread(values):
    """How far repeated measurements lie apart, as a part of their mean."""
    values = list(values)
    return (max(values) - min(values)) / mean(values) if mean(values) else 0.0


def number(x):
    if x is None:
        return "-"
    if isinstance(x, str):
        return x
    if x == 0:
        return "0"
    if abs(x) >= 10000:
        return "%.1fk" % (x / 1000)
    if abs(x) >= 100:
        return "%.0f" % x
    return "%.3g" % x if abs(x) >= 0.001 else "<0.001"


def text_table(header, rows):
    """Columns by width; the first is text, the others are numbers."""
    cells = [header] + [[r[0]] + [number(c) for c in r[1:]] for r in rows]
    widths = [max(len(r[i]) for r in cells) for i in range(len(header))]
    lines = []
    for r in cells:
        line = "  ".join(c.ljust(w) if i == 0 else c.rjust(w)
                         for i, (c, w) in enumerate(zip(r, widths)))
        lines.append(line.rstrip())
    return "\n".join(lines) + "\n"


def paragraph(text):
    """As wide as the page's other prose, and nothing broken within a word or a link."""
    return textwrap.fill(text, 80, break_long_words=False, break_on_hyphens=False) + "\n"


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;")


def bars(title, unit, series, panels):
    """Stacked bars: panels is [(name, [(label, [value of each series])])]."""
    longest = max(len(str(label)) for _, rows in panels for label, _ in rows)
    left = max(150, 14 + 6 * longest)
    width, row = 710 - left, 17
    out, y = [], 56
    for i, name in enumerate(series):
        x = 150 + 150 * (i % 4)
        top = 30 + 16 * (i // 4)
        out.append('<rect x="%d" y="%d" width="10" height="10" fill="%s"/>' % (x, top, COLOURS[i % len(COLOURS)]))
        out.append('<text x="%d" y="%d">%s</text>' % (x + 14, top + 9, escape(name)))
    y += 16 * ((len(series) - 1) // 4)
    for name, rows in panels:
        most = max([sum(v or 0 for v in values) for _, values in rows] + [1e-9])
        out.append('<text x="8" y="%d" font-weight="bold">%s</text>' % (y + 12, escape(name)))
        y += 18
        for label, values in rows:
            x = float(left)
            out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (left - 6, y + 12, escape(label)))
            for i, v in enumerate(values):
                w = width * (v or 0) / most
                out.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>'
                           % (x, y + 2, w, row - 4, COLOURS[i % len(COLOURS)]))
                x += w
            out.append('<text x="%.1f" y="%d">%s</text>' % (x + 4, y + 12, number(sum(v or 0 for v in values))))
            y += row
        y += 8
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="800" height="%d" font-family="sans-serif" '
            'font-size="11">\n<rect width="800" height="%d" fill="#fff"/>\n<text x="8" y="18" font-size="14">'
            '%s (%s)</text>\n%s\n</svg>\n' % (y + 8, y + 8, escape(title), escape(unit), "\n".join(out)))
