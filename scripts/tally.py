#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tally.py - add up the results of scripts/test.

Usage: tally.py RESULTS, a folder with "steps" (lines "NAME STATUS SECONDS"), and for a step that
ran tests NAME.xml (JUnit, of ctest or pytest) or NAME.cases (lines "passed" or "failed").
Prints a table and, as the last line, "N passed, N failed"; exits 0 only if none failed.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

CMOCKA_RUN = re.compile(r"^\[=+\].*?(\d+) test\(s\) run\.", re.MULTILINE)
CMOCKA_PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)\.", re.MULTILINE)


def count_program(case):
    """(passed, failed, skipped) of one test case: a ctest of a cmocka program holds many."""
    output = case.findtext("system-out", "")
    ran = sum(map(int, CMOCKA_RUN.findall(output)))
    passed = sum(map(int, CMOCKA_PASSED.findall(output)))
    failed = ran - passed
    if case.find("skipped") is not None:
        return passed, failed, 1
    if case.find("failure") is not None or case.find("error") is not None:
        return passed, max(failed, 1), 0
    return passed or 1, failed, 0


def count_step(results, name, status):
    """(passed, failed, skipped) of a step; a step that failed without a failed case counts as one."""
    counts = []
    if (results / f"{name}.xml").exists():
        counts = [count_program(case) for case in xml.parse(results / f"{name}.xml").iter("testcase")]
    elif (results / f"{name}.cases").exists():
        lines = (results / f"{name}.cases").read_text().split()
        counts = [(lines.count("passed"), lines.count("failed"), 0)]
    passed, failed, skipped = (sum(column) for column in zip(*counts)) if counts else (0, 0, 0)
    return passed, max(failed, int(status != 0)), skipped


def main(results):
    rows = []
    for line in (results / "steps").read_text().splitlines():
        name, status, seconds = line.split()
        rows.append((name, *count_step(results, name, int(status)), int(seconds)))
    totals = [sum(column) for column in list(zip(*rows))[1:]]
    print(f"\n{'step':32}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for row in rows + [("all", *totals)]:
        print("{:32}{:8}{:8}{:9}{:9}".format(*row))
    passed, failed = totals[:2]
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
