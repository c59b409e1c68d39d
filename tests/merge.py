#!/usr/bin/env python3
"""Makes one ctest list out of several build directories.

usage: merge.py OUT NAME=BUILD_DIR[:LABEL,...[:REGEX]]...

Writes OUT/CTestTestfile.cmake with every test of each build (or those that have one of the labels,
without those whose name the regular expression matches), called NAME.TEST, so that `ctest
--test-dir OUT` runs all of them and sums them up once.
"""
import json
import os
import re
import subprocess
import sys


def quoted(text):
    """A bracket argument: nothing in it is looked at by CMake."""
    level = 0
    while "]" + "=" * level + "]" in text:
        level += 1
    # A first newline would be dropped, and a ] at the end would join the bracket.
    if text.startswith("\n") or text.endswith("]"):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
    return "[" + "=" * level + "[" + text + "]" + "=" * level + "]"


def value_of(prop):
    value = prop["value"]
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, list):
        return ";".join(str(v) for v in value)
    return str(value)


def tests_of(build):
    out = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
                         stdout=subprocess.PIPE, universal_newlines=True).stdout
    return json.loads(out)["tests"]


def main():
    out = sys.argv[1]
    lines = []
    for argument in sys.argv[2:]:
        name, _, rest = argument.partition("=")
        build, _, labels = rest.partition(":")
        labels, _, left_out = labels.partition(":")
        wanted = set(labels.split(",")) if labels else None
        taken = 0
        for test in tests_of(build):
            properties = {p["name"]: value_of(p) for p in test.get("properties", [])}
            own = set(properties.get("LABELS", "").split(";"))
            if "command" not in test or (wanted is not None and not wanted & own):
                continue
            if left_out and re.search(left_out, test["name"]):
                continue
            taken += 1
            title = quoted(f"{name}.{test['name']}")
            # Fixtures are of one build.
            for key in properties:
                if key.startswith("FIXTURES_"):
                    properties[key] = ";".join(f"{name}.{v}" for v in properties[key].split(";"))
            properties["LABELS"] = ";".join(sorted(own | {name}) if own != {""} else [name])
            lines.append(f"add_test({title} {' '.join(quoted(a) for a in test['command'])})")
            lines.append(f"set_tests_properties({title} PROPERTIES " + " ".join(
                f"{k} {quoted(v)}" for k, v in sorted(properties.items())) + ")")
        if taken == 0:
            sys.exit(f"merge.py: {build} has no tests labelled {labels or 'anything'}")
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "CTestTestfile.cmake"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main()
