#!/bin/sh
# What threads share, under clang's thread sanitizer: tests/race.sh [SUITE...] (make race). OpenMP's own synchronisation
# is told to the sanitizer by Archer, which comes with LLVM's OpenMP; OpenBLAS and oneDNN bring GNU's, which is not
# instrumented, and compute on one thread here. What happens inside libraries that are not instrumented is not looked at.
build=build/${KIND:-thread}
tool=$(ls /usr/lib/llvm-*/lib/libarcher.so 2>/dev/null | tail -1)
test -n "$tool" || { echo "tests/race.sh: no libarcher.so (apt-get install libomp-dev)" >&2; exit 1; }
# The loader's threads, the decoders, the memory pool, the lease's heart, kernels and analysis in teams; what goes on
# between processes (the scheduler) is no thread's.
suites=${*:-loader images photo photo_views dataset folder archives codecs lease tape codes conv_kernels augment optimizer
    kmeans knn probe statistics structure spectrum usage}
OMP_NUM_THREADS=3 OPENBLAS_NUM_THREADS=1 OMP_TOOL_LIBRARIES=$tool CK_TIMEOUT_MULTIPLIER=20 \
    TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=0 exitcode=66 suppressions=tests/race.supp" \
    MEWS=$PWD/$build/mews $build/run-tests $suites 2>$build/race.log
failed=$?
echo "$(grep -c 'WARNING: ThreadSanitizer' $build/race.log) races reported ($build/race.log)"
grep 'SUMMARY: ThreadSanitizer' $build/race.log | sort | uniq -c | sort -rn | head -40
test $failed -eq 0 && ! grep -q 'WARNING: ThreadSanitizer' $build/race.log
