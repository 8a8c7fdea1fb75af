#!/usr/bin/env bash
# The suites as other machines would run them: kernels of OpenBLAS, oneDNN and mews for other processors, other numbers of
# threads, another compiler. A cell that this processor cannot run is named and passed over.
#
#   tests/portability.sh short       all suites as on AVX2, those that compute on three threads
#   tests/portability.sh long        every cell, of the suites that compute; `make portability`
#   tests/portability.sh NAME...     some cells, by the names in the first column (CI runs avx2)
#
# One line a cell: name, suites, checks, failures, seconds. Ends with 1 when a check failed; what failed stands in
# build/portability/CELL.log.
set -u
cd "$(dirname "$0")/.."
mkdir -p build/portability
failed=0

# Suites whose outcome depends on kernels or on threads.
COMPUTING="agreement augment backbones bfloat16 bfloat16_convolution codes collapse conv_kernels convolution forget golden_ops kmeans knn loader methods_golden
    objectives falcon barlow_twins model onset optimizer probe resume run spectrum statistics structure tape teacher threads
    tokens usage vector_math views vit"

doctor=$(build/release/mews doctor --json)
level=$(printf '%s' "$doctor" | sed -n 's/.*"x86_64_level": *\([0-9]\).*/\1/p')
case $doctor in # what multiplies bfloat16 comes above x86-64-v4
*'"bfloat16":"avx512_bf16"'*) level=5 ;;
*'"bfloat16":"amx"'*) level=6 ;;
esac

# cell NAME LEVEL BUILD SUITES VARIABLE=VALUE...: LEVEL of x86-64 that the kernels need; SUITES computing or all
cell() {
    local name=$1 needs=$2 build=$3 which=$4 suites=
    shift 4
    case " $wanted " in *" $name "* | "  ") ;; *) return ;; esac
    test "$level" -ge "$needs" || { printf '%-18s passed over: this processor lacks it\n' "$name"; return; }
    test -x "$build/run-tests" || { printf '%-18s passed over: %s is not built\n' "$name" "$build"; return; }
    test "$which" = all || suites=$(there)
    local log=build/portability/$name.log start=$SECONDS
    # shellcheck disable=SC2086
    env "$@" tests/run.sh "$build" $suites >"$log" 2>&1
    local code=$?
    if test "$which" = computing && test -x build/double/run-gradients; then
        env "$@" build/double/run-gradients >>"$log" 2>&1 || code=1
    fi
    awk -v name="$name" -v which="$which" -v code=$code -v took=$((SECONDS - start)) '
        /Checks: / { split($0, p, /[:,] */); checks += p[3]; bad += p[5] + p[7] }
        END { printf "%-18s %-10s %5d checks, %d failed%s, %d s\n", name, which, checks, bad,
              code && !bad ? " (it ended with code " code ")" : "", took }' "$log"
    test $code = 0 || failed=1
}

# Of the suites that compute, those that there are.
there() {
    for suite in $COMPUTING; do ls tests/*/test_"$suite".c >/dev/null 2>&1 && echo "$suite"; done
}

AVX2="OPENBLAS_CORETYPE=Haswell ONEDNN_MAX_CPU_ISA=AVX2 MEWS_ISA=v3"
FLOOR="OPENBLAS_CORETYPE=Nehalem ONEDNN_MAX_CPU_ISA=SSE41 MEWS_ISA=v2"

# shellcheck disable=SC2086
short() {
    cell avx2-whole 3 build/release all $AVX2
    cell threads-3 2 build/release computing OMP_NUM_THREADS=3
}

# shellcheck disable=SC2086
long() {
    cell as-it-is 2 build/release computing
    cell avx2 3 build/release computing $AVX2
    cell floor 2 build/release computing $FLOOR
    for core in Haswell:3 Zen:3 SkylakeX:4 Sandybridge:3 Nehalem:2; do
        cell "blas-${core%:*}" "${core#*:}" build/release computing OPENBLAS_CORETYPE="${core%:*}"
    done
    for isa in SSE41:2 AVX2:3 AVX512_CORE:4; do
        cell "onednn-${isa%:*}" "${isa#*:}" build/release computing ONEDNN_MAX_CPU_ISA="${isa%:*}"
    done
    for isa in v2:2 v3:3 v4:4 v4_bf16:5 v4_amx:6; do
        cell "mews-${isa%:*}" "${isa#*:}" build/release computing MEWS_ISA="${isa%:*}"
    done
    for threads in 1 2 3 5; do cell "threads-$threads" 2 build/release computing OMP_NUM_THREADS=$threads; done
    cell clang 2 build/clang computing
    cell clang-avx2 3 build/clang computing $AVX2
    cell clang-floor 2 build/clang computing $FLOOR
}

wanted=
case ${1:-} in
short | long) "$1" ;;
'') sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
*) wanted="$*"; long; cell avx2-whole 3 build/release all $AVX2 ;;
esac
exit $failed
