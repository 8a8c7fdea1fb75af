#!/bin/sh
# Lines and branches that the suites reach, by folder: tests/coverage.sh BUILD [SUITE...] (make coverage).
# BUILD holds objects made with --coverage. Without suites: all of them, after forgetting what earlier runs reached.
build=$1
shift
test $# -gt 0 || find $build -name '*.gcda' -delete
tests/run.sh "$build" "$@" >"$build/tests.log" 2>&1
tail -1 $build/tests.log
# gcov tells of each source once for every object that holds code of it: of a source in several, the most reached counts.
find $build/engine $build/methods $build/analysis $build/native $build/experiments -name '*.gcda' 2>/dev/null | sort |
    xargs -n 1 -P "$(nproc)" gcov -n -b -r 2>/dev/null | awk '
    /^File / { file = $2; gsub("\047", "", file); fresh = 1; next }
    /^Lines executed:/ && !fresh { next } # what all sources of an object come to together
    /^Lines executed:/ { fresh = 0; split($0, a, /[:% ]+/); share = a[3]; count = $NF
        if (file ~ /\.c$/ && share * count >= reached[file]) { reached[file] = share * count; lines[file] = count } next }
    /^Taken at least once:/ { split($0, a, /[:% ]+/); share = a[5]; count = $NF
        if (file ~ /\.c$/ && share * count >= taken[file]) { taken[file] = share * count; branches[file] = count } next }
    END {
        for (f in lines) {
            folder = f; sub(/\/.*/, "", folder)
            l[folder] += lines[f]; r[folder] += reached[f] / 100; b[folder] += branches[f]; t[folder] += taken[f] / 100
            printf "%5.1f %% of %4d lines  %s\n", reached[f] / lines[f], lines[f], f > "'$build'/coverage.files"
        }
        printf "%-12s %8s %10s %9s\n", "", "lines", "reached", "branches"
        for (f in l) printf "%-12s %8d %8.1f %% %7.1f %%\n", f, l[f], 100 * r[f] / l[f], 100 * t[f] / b[f]
    }' | sort
sort -n $build/coverage.files -o $build/coverage.files
echo "by file, the least reached first: $build/coverage.files"
