#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_layers.py - includes point down the layers only, the headers of a layer make no cycle,
core/ and fs/ keep to their libraries, and the build knows every file.

Usage: check_layers.py ROOT. Prints every broken rule and exits 1, or prints how many files it read.
"""
import graphlib
import pathlib
import re
import sys

LAYERS = {
    1: "core/: base64 buffer bytes cleanup clock executor log status",
    2: "core/: config delivery digest header_block js_reply js_time json_line name_codec name_set"
       " nuid object_meta own_writes store stream_config stream_text",
    3: "core/: advisories atomic_* connection direct_get embedded js_api js_api_* kv_* link"
       " object_* publication publication_* request_table requester status_fold store_core"
       " store_describe"
       " version watcher watcher_*",
    4: "core/: bucket bucket_* catalog catalog_* chunk_cache chunk_layout conflict_* history"
       " history_* reader source source_* tree tree_* upload upload_* value_*",
    5: "fs/: attr changes content control control_* daemon drain errno_map failure fs fs_state"
       " handle handle_* inode inode_* late loss main mount mountpoint notifier op ops ops_* options"
       " pending poke poke_* process scratch scratch_* session_hook signals special xattr",
}
LISTS = {"core/*.c": "core/CMakeLists.txt", "fs/*.c": "fs/CMakeLists.txt",
         "tests/support/*.c": "tests/unit.cmake", "tests/unit/test_*.c": "tests/unit.cmake",
         "tests/fuzz/fuzz_*.c": "tests/fuzz.cmake"}
FOREIGN = {"core": r"fuse.*", "fs": r"(nats|jansson|openssl|ini)\b.*"}
STATED = re.compile(r"^ \* Layer (\d)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of(module):
    """The layer of "core/status", or None for a module that no layer lists."""
    for layer, line in LAYERS.items():
        half, names = line.split(": ")
        if any(re.fullmatch(half + name.replace("*", r"\w+"), module) for name in names.split()):
            return layer
    return None


def faults_of(file, text):
    """What is wrong with the includes of one file, whatever the other files are."""
    half, module = file.split("/")[0], file[:-2]
    if layer_of(module) is None:
        return [f"{file}: not in the table of layers of tests/check_layers.py"]
    stated = STATED.search(text)
    faults = []
    if stated and int(stated[1]) != layer_of(module):
        faults.append(f"{file}: says layer {stated[1]}, the table says {layer_of(module)}")
    for bracket, name in INCLUDE.findall(text):
        target = name[:-2]
        if re.fullmatch(FOREIGN[half], name):
            faults.append(f"{file}: {half}/ must not include {name}")
        elif bracket == '"' and layer_of(target) is None:
            faults.append(f'{file}: "{name}" is not a module, written from the root')
        elif bracket == '"' and layer_of(target) > layer_of(module):
            faults.append(f"{file}: layer {layer_of(module)} includes {name} of layer {layer_of(target)}")
    return faults


def cycle_of(edges):
    """The headers of an include cycle, in order, or None."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return error.args[1][::-1]
    return None


def unlisted(root):
    """The files that the build leaves out; a test that is not listed would never run."""
    for pattern, build in LISTS.items():
        words = (root / build).read_text().replace("(", " ").replace(")", " ").split()
        listed = {pathlib.Path(word).stem for word in words}
        for path in sorted(root.glob(pattern)):
            if re.sub("^(test|fuzz)_", "", path.stem) not in listed:
                yield f"{path.relative_to(root)}: not listed in {build}"


def main(root):
    files = {str(path.relative_to(root)): path.read_text()
             for half in FOREIGN for path in sorted((root / half).glob("**/*.[ch]"))}
    edges = {file: [name for bracket, name in INCLUDE.findall(text) if bracket == '"']
             for file, text in files.items() if file.endswith(".h")}
    faults = [fault for file, text in files.items() for fault in faults_of(file, text)]
    faults += unlisted(root)
    cycle = cycle_of(edges)
    if cycle:
        faults.append("include cycle: " + " -> ".join(cycle))
    print("\n".join(faults) or f"{len(files)} files include downward only")
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
