#!/usr/bin/env bash
# Runs the tests against real servers once for each store other than files: one line of configuration
# differs (tests/support/stores.rs).
#
#   run.sh [--all] [STORE ...]     memory, dbm and redis if none is named; with --all those of other kinds too
#
# Without --all those are left out that would show nothing new: tests in these places choose their stores
# themselves or are not about what is kept in one, and each MPM was tried with files.
set -uo pipefail
cd "$(dirname "$0")/../.."

elsewhere=(config:: guards:: harness:: readme:: restart_soak:: stores:: support::)
elsewhere+=(htsession::manual htsession::moving htsession::redis seeds::every_row)
# Of each row of `seeds` there is a second test that chooses its store.
elsewhere+=(::memory)
# Its cases run by themselves as well, with the mutexes that are the default.
elsewhere+=(locking::table::)
mpms=(::prefork ::worker)

left_out=("${elsewhere[@]}" "${mpms[@]}")
every=(memory dbm redis)
if [ "${1-}" = --all ]; then
    left_out=()
    every+=(example gdbm db sdbm socache)
    shift
fi
stores=("$@")
[ ${#stores[@]} -gt 0 ] || stores=("${every[@]}")

skips=()
for name in "${left_out[@]}"; do skips+=(--skip "$name"); done
said=$(mktemp)
# Said again at the end, where a log that is cut off still has it.
failures=$(mktemp)
trap 'rm -f "$said" "$failures"' EXIT

summary=()
failed=0
for store in "${stores[@]}"; do
    printf '\n-- sessions in %s\n' "$store"
    start=$SECONDS
    if ! SESSION_STORE_TESTS_ON=$store "${CARGO:-cargo}" test --locked --test main -- "${skips[@]}" | tee "$said"; then
        failed=1
        { printf '\n-- failures with sessions in %s\n' "$store"; sed -n '/^failures:$/,$p' "$said"; } >>"$failures"
    fi
    result=$(grep '^test result: ' "$said" | cut -d';' -f1-2)
    summary+=("$(printf '%-7s %s; %s s' "$store" "${result:-did not run}" $((SECONDS - start)))")
done

cat "$failures"
printf '\n-- sessions in each store\n'
printf '%s\n' "${summary[@]}"
exit $failed
