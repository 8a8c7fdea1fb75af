#!/bin/sh
# What threads share, under clang's thread sanitizer: tests/race.sh [SUITE...] (make race). OpenMP's own synchronisation
# is told to the sanitizer by Archer, which comes with LLVM's OpenMP; OpenBLAS and oneDNN bring GNU's, which is not
# instrumented, and compute on one thread here. What happens inside libraries that are not instrumented is not looked at.
# All tests of a suite run in one process: Archer 14 crashes at the end of one that was forked.
build=build/${KIND:-thread}
tool=$(ls /usr/lib/llvm-*/lib/libarcher.so 2>/dev/null | tail -1)
test -n "$tool" || { echo "tests/race.sh: no libarcher.so (apt-get install libomp-dev)" >&2; exit 1; }
# The loader's threads, the decoders, the memory pool, the hearts of leases and of processes on other machines, kernels and
# analysis in teams; then whole trainings with what is trained beside them. What goes on between a sweep's processes is
# no thread's.
suites=${*:-loader images photo photo_views dataset folder archives codecs lease heartbeat tape codes conv_kernels convolution
    augment optimizer kmeans knn probe statistics structure spectrum usage online}
rm -rf $build/race && mkdir -p $build/race
CK_FORK=no OMP_NUM_THREADS=3 OPENBLAS_NUM_THREADS=1 OMP_TOOL_LIBRARIES=$tool CK_TIMEOUT_MULTIPLIER=20 \
    TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=0 exitcode=66 die_after_fork=0 log_path=$PWD/$build/race/log" \
    MEWS=$PWD/$build/mews $build/run-tests $suites
failed=$?
cat $build/race/* >$build/race.log 2>/dev/null # one of each process that had something to say
echo "$(grep -ac 'WARNING: ThreadSanitizer' $build/race.log) races reported ($build/race.log)"
grep -a 'SUMMARY: ThreadSanitizer' $build/race.log | sort | uniq -c | sort -rn | head -40
test $failed -eq 0 && ! grep -aq 'WARNING: ThreadSanitizer' $build/race.log
