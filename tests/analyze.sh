#!/bin/sh
# Static analyzers over every source: tests/analyze.sh FILE... (make analyze). CC and FLAGS as the build has them.
# Each complaint is a line in build/analyze/TOOL; those in tests/analyze.answered (TOOL FILE WORDS) are answered there.
# tests/analyze.h tells clang and gcc what other sources say; engine/error.c, which is one of these, goes without.
out=build/analyze
told='case {} in engine/error.c) told=;; *) told="-include tests/analyze.h";; esac;'
mkdir -p $out
jobs=${JOBS:-$(nproc)}
ANALYZERS=${ANALYZERS:-clang gcc cppcheck}

for tool in $ANALYZERS; do
    echo "analyzer: $tool"
    case $tool in
    clang)
        command -v clang >/dev/null || { echo "  clang is not installed"; continue; }
        printf '%s\n' "$@" | xargs -P "$jobs" -I{} sh -c "$told clang --analyze --analyzer-output text $FLAGS \$told -Wno-pass-failed \
            -Xclang -analyzer-disable-checker=security.insecureAPI.DeprecatedOrUnsafeBufferHandling,security.insecureAPI.strcpy {} 2>&1 | \
            grep -E '^[^ ]+:[0-9]+:[0-9]+: (warning|error)'" | sort -u >$out/$tool ;;
    gcc)
        printf '%s\n' "$@" | xargs -P "$jobs" -I{} sh -c "$told gcc $FLAGS \$told -Wno-unused-value -O1 -fanalyzer -c {} -o /dev/null 2>&1 | \
            sed 's#^./tests/analyze.h:#{}:#' | grep -E '^[^ ]+:[0-9]+:[0-9]+: (warning|error)'" | sort -u >$out/$tool ;;
    cppcheck)
        command -v cppcheck >/dev/null || { echo "  cppcheck is not installed"; continue; }
        cppcheck -q -j "$jobs" --std=c11 --enable=warning,performance,portability --inline-suppr -I. \
            --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --template='{file}:{line}:{column}: {severity}: {message} [{id}]' \
            "$@" 2>&1 | sort -u >$out/$tool ;;
    esac
    # A line of the answers names the tool, the file and words of the complaint; # begins a remark.
    awk -v tool="$tool" -v answers=tests/analyze.answered 'BEGIN { while ((getline line < answers) > 0) {
            split(line, part, / +/)
            if (part[1] != tool) continue
            n++; file[n] = part[2]; sub(/^[^ ]+ +[^ ]+ +/, "", line); words[n] = line } }
        { for (i = 1; i <= n; i++) if ((file[i] == "*" || index($0, file[i]) == 1) && index($0, words[i])) next; print }' \
        $out/$tool >$out/$tool.open
    echo "  $(wc -l <$out/$tool) complaints, $(wc -l <$out/$tool.open) of them not answered"
    cat $out/$tool.open
done
! cat $out/*.open | grep -q .
