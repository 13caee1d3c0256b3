"""Judges configurations by their JSON Schema: Python's own TOML, and jsonschema as a draft 4 validator.

Usage: schema.py SCHEMA, with the path of a TOML file on each line of the input. It prints one JSON list a line: what is
wrong, each with its place; null if the file is not TOML.
"""

import json
import pathlib
import sys
import tomllib

from jsonschema import Draft4Validator

schema = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
Draft4Validator.check_schema(schema)
validator = Draft4Validator(schema)

for line in sys.stdin:
    try:
        document = tomllib.loads(pathlib.Path(line.rstrip("\n")).read_bytes().decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        print("null")
        continue
    print(json.dumps([f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]))
