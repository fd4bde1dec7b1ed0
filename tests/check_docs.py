#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that docs/semantics.md names exists. usage: check_docs.py REPO"""

import pathlib
import re
import sys


def main():
    repo = pathlib.Path(sys.argv[1])
    named = set(re.findall(r"\btest_\w+", (repo / "docs" / "semantics.md").read_text()))
    there = set()
    for path in (repo / "tests" / "integration").glob("test_*.py"):
        there |= set(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    missing = sorted(named - there)
    for name in missing:
        print(f"docs/semantics.md names {name}, which does not exist")
    return 1 if missing or not named else 0


if __name__ == "__main__":
    sys.exit(main())
