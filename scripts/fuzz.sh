#!/bin/sh
# Runs every fuzz target for a while, two at a time: fuzz.sh BUILD_DIR SECONDS.
# The kept inputs (tests/fuzz/corpus/NAME) are read, new ones go to BUILD_DIR/corpus/NAME, a crashing one stays in
# BUILD_DIR/NAME-crash-…. Prints `ok NAME` or `not ok NAME` for each; fails when one has found something.
set -eu
cd "$(dirname "$0")/.."
dir=$1 seconds=$2

fuzz_one() {
    name=$1
    new=$dir/corpus/$name kept=tests/fuzz/corpus/$name log=$dir/$name.log
    mkdir -p "$new"
    [ -d "$kept" ] || kept=
    if "$dir/targets/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -verbosity=1 \
        -print_final_stats=1 -artifact_prefix="$dir/$name-" "$new" $kept > "$log" 2>&1 < /dev/null; then
        echo "ok $name ($(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs)"
    else
        echo "not ok $name: see $log"
        grep -m 5 -E 'ERROR|SUMMARY|runtime error|Test unit written' "$log" | sed 's/^/    /' || true
        return 1
    fi
}

if [ "${3-}" ]; then
    fuzz_one "$3"
    exit
fi
# shellcheck disable=SC2012  # names of C files
ls tests/fuzz/fuzz_*.c 2> /dev/null | sed 's,.*/fuzz_\(.*\)\.c$,\1,' |
    xargs -r -P 2 -n 1 "$0" "$dir" "$seconds"
