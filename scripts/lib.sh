# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# lib.sh - what the scripts share. Sourced first; leaves the shell in the root of the repository,
# with the folder it was called from in start_dir.

start_dir=$PWD
exec </dev/null # nothing here asks a question, and a closed stdin confuses apt and npm
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
export LC_ALL=C.UTF-8
export PATH=$PATH:/usr/sbin:/sbin # Debian keeps nats-server there, out of a plain user's PATH

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "${0##*/}: $*"
    exit 1
}

have() {
    command -v "$1" >/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        have sudo || die "needs root for: $* (and there is no sudo)"
        sudo "$@"
    fi
}

# The folder for what can be fetched again. Without HOME, bash takes ~ from the passwd file.
cache_dir() {
    local home=~
    printf '%s\n' "${XDG_CACHE_HOME:-${home%/}/.cache}/jsfs-test"
}

# The absolute form of a path that the caller gave.
absolute() {
    (cd "$start_dir" && realpath -m -- "$1")
}

build_preset() {
    cmake --preset "$1" && cmake --build --preset "$1"
}
