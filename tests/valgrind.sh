#!/bin/sh
# A training with a checkpoint in between, an evaluation, a diagnosis, a report and an import under valgrind:
# tests/valgrind.sh MEWS (make memory). valgrind knows no AVX-512: all kernels are those of AVX2. What libraries keep
# until the process ends is reachable and no loss; tests/valgrind.supp answers the rest.
mews=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
printf 'name: toy\ndata: {name: shapes, size: 8, limit: 64, cache: cache}\nbackbone: {name: resnet8, width: 2}\nmethod: {name: falcon, features: 8, codes: 16}\ntrain: {epochs: 2, batch: 16, threads: 2, loader_threads: 1, checkpoint_every: 1}\neval: [linear, knn, kmeans, prototypes, collapse]\n' >toy.yaml
export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=2 MEWS_ISA=v3 OPENBLAS_CORETYPE=Haswell ONEDNN_MAX_CPU_ISA=AVX2
failed=0
under() {
    echo "valgrind: mews $*"
    valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
        --suppressions="$here/valgrind.supp" --gen-suppressions=all --log-file=log "$mews" "$@" >out 2>err
    code=$?
    test -s log && { sed -n 1,60p log; failed=1; }
    test $code -eq 0 || { echo "  ended with code $code"; tail -3 err; failed=1; }
}
under train toy.yaml
under eval results/toy/* --set eval.sample=100
under diagnose results/toy/*/embeddings.npy --labels results/toy/*/labels.npy
under report results/toy
under runs
exit $failed
