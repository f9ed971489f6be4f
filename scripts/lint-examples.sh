#!/usr/bin/env bash
# Looks at the programs in examples/ without running them: C by the compiler that is given with its options, shell
# by sh -n and shellcheck (where there is one), Python by its own compiler.
set -euo pipefail
cd "$(dirname "$0")/../examples"
PYTHONPYCACHEPREFIX=$(mktemp -d)
export PYTHONPYCACHEPREFIX
trap 'rm -rf "$PYTHONPYCACHEPREFIX"' EXIT

shell() {
    sh -n "$1"
    ! command -v shellcheck > /dev/null || (cd "$(dirname "$1")" && shellcheck -x -s sh -e SC1091 "$(basename "$1")")
}

for file in *.py *.sh */*; do
    case $file in
    *.c) "$@" "$file" ;;
    *.py) python3 -m py_compile "$file" ;;
    *.sh) shell "$file" ;;
    */run)
        case $(head -n 1 "$file") in
        *python3*) python3 -m py_compile "$file" ;;
        *) shell "$file" ;;
        esac
        ;;
    esac
done
