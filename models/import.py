#!/usr/bin/env python3
"""Imports AWS's published API models from the installed botocore, without their documentation text.

    python3 -m venv .venv && .venv/bin/pip install botocore && .venv/bin/python models/import.py

Only facts stay: operations, shapes, constraints, errors. `NAME.ops` beside each model lists the operations that
barge-wire generates; this program leaves it alone.
"""

import gzip
import json
import pathlib

import botocore

SERVICES = {
    "batch": "2016-08-10",
    "cloudformation": "2010-05-15",
    "ec2": "2016-11-15",
    "ecr": "2015-09-21",
    "iam": "2010-05-08",
    "lambda": "2015-03-31",
    "logs": "2014-03-28",
    "ssm": "2014-11-06",
    "sts": "2011-06-15",
}
# What the services answer beside what their models say: the stack's own states are among its events.
MORE_VALUES = {
    ("cloudformation", "ResourceStatus"): [
        "REVIEW_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    ],
}
PROSE = {"documentation", "documentationUrl", "examples", "deprecatedMessage"}


def without_prose(node, inside_members=False):
    """The node without documentation. A member may itself be called `documentation`: members are kept."""
    if isinstance(node, dict):
        return {
            key: without_prose(value, inside_members=key in ("members", "shapes", "operations"))
            for key, value in node.items()
            if inside_members or key not in PROSE
        }
    if isinstance(node, list):
        return [without_prose(value) for value in node]
    return node


def main():
    here = pathlib.Path(__file__).parent
    data = pathlib.Path(botocore.__file__).parent / "data"
    for name, version in SERVICES.items():
        with gzip.open(data / name / version / "service-2.json.gz") as packed:
            model = without_prose(json.load(packed))
        for (service, shape), values in MORE_VALUES.items():
            if service == name:
                model["shapes"][shape]["enum"] += [v for v in values if v not in model["shapes"][shape]["enum"]]
        (here / f"{name}.json").write_text(json.dumps(model, separators=(",", ":")) + "\n")
        print(f"{name}: {len(model['operations'])} operations, {len(model['shapes'])} shapes")
    (here / "VERSION").write_text(f"botocore {botocore.__version__}\n")


if __name__ == "__main__":
    main()
