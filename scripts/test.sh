#!/bin/bash
# Runs every test against what `make test` has built and ends in the line `N passed, N failed`.
#
#   BUILD         where the variants are (build)
#   FORKFUL_BIN   the binary that the node tests start (BUILD/test/forkful)
#   STAGES        what to run, in this order: unit node asan tsan fuzz
#
# A program that crashes, a stage that has files and runs nothing, and a report of a sanitizer each count as a
# failure. Logs stay in BUILD/logs.
set -uo pipefail
cd "$(dirname "$0")/.."
BUILD=$(realpath -m "${BUILD:-build}")
plain_bin=$(realpath -m "${FORKFUL_BIN:-$BUILD/test/forkful}")
logs=$BUILD/logs
passed_total=0 failed_total=0
rm -rf "$logs"
mkdir -p "$logs"
shopt -s nullglob

# result NAME FILES PASSED FAILED: one row of the report, and into the sums. NAME began at $began.
result() {
    local name=$1 files=$2 passed=$3 failed=$4
    if ((files > 0 && passed + failed == 0)); then
        echo "    $name has $files test files and ran not one test"
        failed=1
    fi
    printf '%-28s %5d passed %4d failed %5d s\n' "$name" "$passed" "$failed" $((SECONDS - began))
    passed_total=$((passed_total + passed)) failed_total=$((failed_total + failed))
}

count() { grep -c -E "$1" "$2" || true; }

# units NAME DIR: the cmocka programs. A program that ends badly without a failed test is itself one.
units() {
    local name=$1 programs=(tests/unit/{test,keeper}_*.c) passed=0 failed=0 program log status ok bad lost
    began=$SECONDS
    for program in "${programs[@]}"; do
        program=$2/unit/$(basename "$program" .c)
        log=$logs/$name-${program##*/}.log
        CMOCKA_MESSAGE_OUTPUT=TAP timeout 300 "$program" > "$log" 2>&1 < /dev/null
        status=$?
        ok=$(count '^ok [0-9]' "$log") bad=$(count '^not ok [0-9]' "$log")
        lost=$(($(sed -n 's/^1\.\.\([0-9]*\)$/+\1/p' "$log" | tr -d '\n') - ok - bad))
        ((lost <= 0)) || { bad=$((bad + lost)); echo "    ${program##*/} died with status $status, $lost tests to go"; }
        if ((bad == 0 && (status != 0 || ok == 0))); then
            bad=1
            echo "    ${program##*/} ended with status $status after $ok tests" | tee -a "$log"
        fi
        ((bad == 0)) || { echo "--- $log"; grep -v '^ok ' "$log" | tail -n 40; }
        passed=$((passed + ok)) failed=$((failed + bad))
    done
    result "$name" $((${#programs[@]})) $passed $failed
}

# summed WORD TAP: what node's runner says at its end.
summed() { sed -n "s/^# $1 //p" "$2" 2> /dev/null | tail -n 1 | grep . || echo 0; }

# node_tests NAME BINARY FILE...: node's own tests, which start BINARY for themselves.
node_tests() {
    local name=$1 binary=$2 tap=$logs/$1.tap log=$logs/$1.log passed failed status empty
    shift 2
    (($#)) || return 0
    began=$SECONDS
    FORKFUL_BIN=$binary timeout 900 node --test --test-concurrency=2 \
        --test-reporter=spec --test-reporter-destination=stdout \
        --test-reporter=tap --test-reporter-destination="$tap" "$@" > "$log" 2>&1 < /dev/null
    status=$?
    passed=$(summed pass "$tap")
    failed=$(($(summed fail "$tap") + $(summed cancelled "$tap") + $(summed skipped "$tap") + $(summed todo "$tap")))
    empty=$(grep -E '^ok [0-9]+ - /.*\.test\.m?js$' "$tap" 2> /dev/null) && {
        echo "    files without a test: $empty"
        failed=$((failed + $(wc -l <<< "$empty"))) passed=$((passed - $(wc -l <<< "$empty")))
    }
    ((status == 0 || failed > 0)) || { failed=1; echo "    node ended with status $status" | tee -a "$log"; }
    ((failed == 0)) || { echo "--- $log"; sed -n '/failing tests:/,$p' "$log" | tail -n 200; }
    result "$name" $# "$passed" "$failed"
}

# Sanitizers write what they find into files, because nobody sees the stderr of a server that is started again.
sanitized() {
    local variant=$1 reports
    shift
    export ASAN_OPTIONS="log_path=$logs/$variant-report:detect_stack_use_after_return=1:${ASAN_OPTIONS-}"
    export UBSAN_OPTIONS="log_path=$logs/$variant-report:print_stacktrace=1:${UBSAN_OPTIONS-}"
    export TSAN_OPTIONS="log_path=$logs/$variant-report:second_deadlock_stack=1:${TSAN_OPTIONS-}"
    "$@"
    unset ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
    reports=("$logs/$variant"-report*)
    ((${#reports[@]} == 0)) && return
    began=$SECONDS
    for report in "${reports[@]:0:5}"; do
        echo "--- $report"
        head -n 40 "$report"
    done
    result "$variant reports" 0 0 ${#reports[@]}
}

files() {
    find "$@" -name node_modules -prune -o \( -name '*.test.js' -o -name '*.test.mjs' \) -print 2> /dev/null | sort
}

stage_unit() { units unit "$BUILD/test"; }

stage_node() {
    local dir list
    for dir in $(files tests | cut -d / -f 2 | uniq); do
        mapfile -t list < <(files "tests/$dir")
        node_tests "$dir" "$plain_bin" "${list[@]}"
    done
}

asan_tests() {
    local list
    units asan-unit "$BUILD/asan"
    mapfile -t list < <(files tests/http)
    node_tests asan-http "$BUILD/asan/forkful" "${list[@]}"
}
stage_asan() { sanitized asan asan_tests; }

# The concurrent part: files with "concurren" in their name, wherever they stand; without any, all of http.
tsan_tests() {
    local list
    mapfile -t list < <(files tests | grep -i concurren)
    ((${#list[@]})) || mapfile -t list < <(files tests/http)
    node_tests tsan "$BUILD/tsan/forkful" "${list[@]}"
}
stage_tsan() { sanitized tsan tsan_tests; }

stage_fuzz() {
    local targets=(tests/fuzz/fuzz_*.c) log=$logs/fuzz.log
    ((${#targets[@]})) || return
    began=$SECONDS
    scripts/fuzz.sh "$BUILD/fuzz" "${FUZZ_SECONDS:-10}" > "$log" 2>&1
    local status=$? ok bad
    ok=$(count '^ok ' "$log") bad=$(count '^not ok ' "$log")
    ((status == 0 || bad > 0)) || bad=1
    ((bad == 0)) || cat "$log"
    result fuzz ${#targets[@]} "$ok" "$bad"
}

for stage in ${STAGES:-unit node asan tsan fuzz}; do
    "stage_$stage"
done
echo "all of it in $SECONDS s"
echo "$passed_total passed, $failed_total failed"
((failed_total == 0 && passed_total > 0))
