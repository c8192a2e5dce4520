#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Validates what commands printed: validate.py SCHEMA-DIRECTORY FILE...

A file is called COMMAND.json or COMMAND.WHAT.json, and has one JSON value or one a line.
The schemas let programs that read them meet new fields; here a field that no schema has
is a fault.
"""
import json
import pathlib
import sys

import jsonschema
import referencing
from referencing.jsonschema import DRAFT202012


def strict(schema):
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: strict(value) for key, value in schema.items()}
    if isinstance(out.get("properties"), dict) and out.get("type") == "object":
        out.setdefault("additionalProperties", False)
    return out


def values(text):
    """One JSON value after the other."""
    decoder, at = json.JSONDecoder(), 0
    text = text.strip()
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield value
        while at < len(text) and text[at].isspace():
            at += 1


def leaves(error):
    """What is wrong inside of the alternatives that nearly fit."""
    if not error.context:
        yield error
    for one in error.context:
        yield from leaves(one)


def main():
    directory = pathlib.Path(sys.argv[1])
    schemas = {path.name: strict(json.loads(path.read_text())) for path in directory.glob("*.json")}
    registry = referencing.Registry().with_resources(
        (name, DRAFT202012.create_resource(schema)) for name, schema in schemas.items())
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    bad = count = 0
    for path in map(pathlib.Path, sys.argv[2:]):
        validator = jsonschema.Draft202012Validator(schemas[path.name.split(".")[0] + ".json"],
                                                    registry=registry)
        found = list(values(path.read_text()))
        if not found:
            print(f"{path}: nothing is in it")
            bad = 1
        for value in found:
            count += 1
            for error in validator.iter_errors(value):
                bad = 1
                print(f"{path}: {json.dumps(value)[:300]}")
                for leaf in list(leaves(error))[:8]:
                    print(f"  {leaf.json_path}: {leaf.message[:200]}")
    print(f"{count} values")
    sys.exit(bad)


main()
