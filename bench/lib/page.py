# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Turns what a figure's guest recorded into data, plot and table, and all of
them into one page. No number is typed anywhere: the page is made from the JSON.

  page.py OUT LEVEL figure NAME RAW   writes OUT/docs/benchmarks/NAME.{json,svg,txt}
  page.py OUT LEVEL page NAME...      writes OUT/docs/benchmarks.md, plots and tables again, and
                                      the files of the tree that have a figure's table in them

A figure is bench/NAME/figure.py with

  reduce(raw)   what the guest left, as a dict that JSON can hold
  table(data)   text
  plot(data)    SVG
  details(data) more text for the page (may be missing)
  says(data)    lines for the page: what the numbers say
  inserts(data) {file: text} for other files, between <!-- NAME table: begin -->
                and <!-- NAME table: end --> (may be missing)
"""

import importlib.util
import json
import os
import re
import sys

import targets
from bench import Raw, read

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(BENCH)


def load_figure(name):
    spec = importlib.util.spec_from_file_location(name, os.path.join(BENCH, name, "figure.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_figure(out, level, name, raw):
    module = load_figure(name)
    raw = Raw(raw)
    data = {"figure": name, "level": level, "machine": raw.machine,
            "host_cpus": len(os.sched_getaffinity(0))}
    data.update(module.reduce(raw))
    write(out, name, {"json": dump(data), "svg": module.plot(data), "txt": module.table(data)})
    print(module.table(data), file=sys.stderr)


def write(out, name, texts):
    for suffix, text in texts.items():
        write_file(out, "docs/benchmarks/%s.%s" % (name, suffix), text)


def write_file(out, path, text):
    path = os.path.join(out, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def insert(out, name, path, text):
    """A figure's text into a file of the tree, which says by two comments where."""
    marks = ["<!-- %s table: %s -->\n" % (name, which) for which in ("begin", "end")]
    before = read(os.path.join(out, path)) or read(os.path.join(TOP, path))
    if [before.count(m) for m in marks] != [1, 1] or before.index(marks[0]) > before.index(marks[1]):
        sys.exit("%s has no place for the table of the figure %s" % (path, name))
    head, rest = before.split(marks[0])
    write_file(out, path, head + marks[0] + text + marks[1] + rest.split(marks[1])[1])


def dump(data):
    """JSON with one row a line, so that a diff can be read."""
    text = json.dumps(data, indent=1, sort_keys=True)
    return re.sub(r"\n {3,}", " ", text) + "\n"


def section(name, data):
    module = load_figure(name)
    readme = re.sub(r"^<!--.*?-->\n", "", read(os.path.join(BENCH, name, "README.md")))
    parts = [re.sub(r"^# ", "## ", readme, flags=re.M).rstrip() + "\n",
             "![%s](benchmarks/%s.svg)\n" % (name, name), "```\n%s```\n" % module.table(data)]
    if hasattr(module, "details"):
        parts.append("```\n%s```\n" % module.details(data))
    parts += ["- %s" % line for line in module.says(data)]
    parts.append("\nLinux %s, %d virtual CPUs on %d, level %s. [JSON](benchmarks/%s.json), "
                 "[text](benchmarks/%s.txt)\n" % (data["machine"].get("kernel"), data["machine"].get("cpus", 0),
                                                  data["host_cpus"], data["level"], name, name))
    return "\n".join(parts)


def make_page(out, names):
    found = {}
    for name in names:
        text = read(os.path.join(TOP, "docs", "benchmarks", name + ".json"))
        if text:
            found[name] = json.loads(text)
    for name, data in found.items():
        module = load_figure(name)
        write(out, name, {"svg": module.plot(data), "txt": module.table(data)})
        for path, text in getattr(module, "inserts", lambda _: {})(data).items():
            insert(out, name, path, text)
    parts = [read(os.path.join(BENCH, "lib", "page.md")), targets.page(found)]
    parts += [section(name, data) for name, data in found.items()]
    write_file(out, "docs/benchmarks.md", "\n".join(parts))


def main():
    out, level, what = sys.argv[1:4]
    if what == "figure":
        make_figure(out, level, *sys.argv[4:])
    else:
        make_page(out, sys.argv[4:])


if __name__ == "__main__":
    main()
