#!/usr/bin/env bash
# The suites, several beside each other, since many wait more than they compute. One line a suite as it ends, all that
# was said where something failed, and Check's closing line for all of them together.
#
#   tests/run.sh BUILD [SUITE...]      BUILD is a folder such as build/release; without names every suite
#
# MEWS_LANES: how many at once, else one for each processor, four at most. What a suite said stands in BUILD/said/SUITE.log.
set -u
build=${1:?the folder with run-tests}
shift
processors=$(env -u OMP_NUM_THREADS nproc)
export OMP_WAIT_POLICY=passive MEWS=$PWD/$build/mews build
export XDG_CACHE_HOME=$PWD/$build/cache # what tests pack stays out of the home of who runs them
mkdir -p "$build/said"
rm -f "$build"/said/*

# The longest first, so that none of them is left to the end alone.
LONG="mpi slurm faults resume shipped_specs"
all=$("$build/run-tests" --list) || exit 2
suites=
# shellcheck disable=SC2086
test $# -gt 0 || set -- $LONG $all
for suite in "$@"; do
    case " $suites " in *" $suite "*) continue ;; esac
    case " ${all//$'\n'/ } " in *" $suite "*) suites="$suites $suite" ;; *) echo "there is no suite $suite" >&2; exit 2 ;; esac
done

# shellcheck disable=SC2016
one='
    start=$SECONDS log=$build/said/$0.log
    "$build/run-tests" "$0" >"$log" 2>&1
    code=$?
    test $code = 0 && grep -q "^100%: Checks: " "$log" || { echo "$0 failed" >>"$log"; grep -v "^[0-9]*%: Checks: " "$log"; exit 1; }
    echo "$0: $(sed -n "s/^100%: Checks: \([0-9]*\).*/\1/p" "$log") checks, $((SECONDS - start)) s"'
# shellcheck disable=SC2086
printf '%s\n' $suites | xargs -P "${MEWS_LANES:-$((processors < 4 ? processors : 4))}" -n 1 bash -c "$one"
code=$?

test $code = 0 || grep -l ' failed$' "$build"/said/*.log | sed 's/.*\/\(.*\)\.log/failed: \1/'
# A suite that ended without its own line is an error.
awk '
    FNR == 1 { suites++ }
    /^[0-9]+%: Checks: / { said++; split($0, part, /[:,] */); checks += part[3]; failures += part[5]; errors += part[7] }
    END { checks += suites - said; errors += suites - said; bad = failures + errors
          printf "%d%%: Checks: %d, Failures: %d, Errors: %d\n", checks ? 100 * (checks - bad) / checks : 0, checks,
                 failures, errors }' "$build"/said/*.log
test $code = 0
