# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Nanoseconds per access to a value, and the time to load a program."""

import json

import bench


def reduce(raw):
    data = json.loads(bench.read(raw.path("store.json")))
    rows = [{"method": r["method"], "get": r["get_ns"] if r["get_ns"] >= 0 else None,
             "put": r["put_ns"] if r["put_ns"] >= 0 else None} for r in data["access"]]
    return {"rows": rows, "load_plain_ms": data["load_plain_ms"], "load_baked_ms": data["load_baked_ms"]}


def table(data):
    return bench.text_table(["ns per access", "get", "put"],
                            [[r["method"], r["get"], r["put"]] for r in data["rows"]])


def plot(data):
    return bench.bars("Access to a value from BPF", "ns per access", ["ns"],
                      [(way, [(r["method"], [r[way]]) for r in data["rows"] if r[way] is not None])
                       for way in ("get", "put")])


def says(data):
    get = {r["method"]: r["get"] for r in data["rows"]}
    more = get["baked key, one word"] - get["plain global variable"]
    return ["a baked get takes %s ns more than a plain global; the target is at most 1: %s" % (
                bench.number(more), "met" if more <= 1 else "missed"),
            "opening and loading 64 values: %s ms as plain globals, %s ms as keys" % (
                bench.number(data["load_plain_ms"]), bench.number(data["load_baked_ms"]))]
