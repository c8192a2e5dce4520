# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Turns what a figure's guest recorded into data, plot and table, and all of
them into one page. No number is typed anywhere: the page is made from the JSON.

  page.py DOCS LEVEL figure NAME RAW   writes DOCS/benchmarks/NAME.{json,svg,txt}
  page.py DOCS LEVEL page NAME...      writes DOCS/benchmarks.md, and plots and tables again

A figure is bench/NAME/figure.py with

  reduce(raw)   what the guest left, as a dict that JSON can hold
  table(data)   text
  plot(data)    SVG
  details(data) more text for the page (may be missing)
  says(data)    lines for the page: what the numbers say
"""

import importlib.util
import json
import os
import re
import sys

import targets
from bench import Raw, read

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def load_figure(name):
    spec = importlib.util.spec_from_file_location(name, os.path.join(BENCH, name, "figure.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_figure(docs, level, name, raw):
    module = load_figure(name)
    raw = Raw(raw)
    data = {"figure": name, "level": level, "machine": raw.machine,
            "host_cpus": len(os.sched_getaffinity(0))}
    data.update(module.reduce(raw))
    write(docs, name, {"json": dump(data), "svg": module.plot(data), "txt": module.table(data)})
    print(module.table(data), file=sys.stderr)


def write(docs, name, texts):
    os.makedirs(os.path.join(docs, "benchmarks"), exist_ok=True)
    for suffix, text in texts.items():
        with open(os.path.join(docs, "benchmarks", "%s.%s" % (name, suffix)), "w") as f:
            f.write(text)


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


def make_page(docs, names):
    found = {}
    for name in names:
        text = read(os.path.join(os.path.dirname(BENCH), "docs", "benchmarks", name + ".json"))
        if text:
            found[name] = json.loads(text)
    for name, data in found.items():
        module = load_figure(name)
        write(docs, name, {"svg": module.plot(data), "txt": module.table(data)})
    parts = [read(os.path.join(BENCH, "lib", "page.md")), targets.page(found)]
    parts += [section(name, data) for name, data in found.items()]
    with open(os.path.join(docs, "benchmarks.md"), "w") as f:
        f.write("\n".join(parts))


def main():
    docs, level, what = sys.argv[1:4]
    if what == "figure":
        make_figure(docs, level, *sys.argv[4:])
    else:
        make_page(docs, sys.argv[4:])


if __name__ == "__main__":
    main()
