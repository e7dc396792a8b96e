"""The plain loop: every file read with libyaml and judged by fastjsonschema. Usage: loop.py FOLDER SCHEMAS"""

import json
import pathlib
import sys

import fastjsonschema
import yaml

folder, schemas = map(pathlib.Path, sys.argv[1:])
for schema in sorted(schemas.glob("*.json")):
    judge = fastjsonschema.compile(json.loads(schema.read_text()))
    for path in sorted((folder / "entities" / schema.stem).rglob("*.yaml")):
        judge(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))
