#!/usr/bin/env bash
# make bench: the yardsticks as a table, each beside today's libraries where a Python that has them is named or lies in
# build/peers (tests/reference/bench_peers.py, bench-requirements.txt). mews runs before and after them, and the slower
# of the two counts: machines change their minds within minutes.
#   PEERS=PYTHON experiments/bench/table.sh [WORD]     WORD: only the lines that hold it
set -euo pipefail
export LC_ALL=C # a decimal point
cd "$(dirname "$0")/../.."
only=${1:-}
python=${PEERS:-}
if [ -z "$python" ] && [ -x build/peers/bin/python ]; then python=build/peers/bin/python; fi
if [ -n "$python" ] && ! command -v "$python" >/dev/null; then
    echo "make bench: PEERS: there is no program $python" >&2
    exit 2
fi
threads=$(nproc)
said=$(mktemp) # by a peer that fails
trap 'rm -f "$said"' EXIT

# figure KEY < one JSON object: its number or text.
figure() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\)\"\{0,1\}[,}].*/\1/p" | head -n 1; }

machine=$(./mews bench machine --json --threads "$threads" | tr -d '\n')
printf '%s; %s threads\n' "$(sed -n 's/.*"processor": *"\([^"]*\)".*/\1/p' <<<"$machine")" "$threads"
printf 'at most: products %.0f GFLOP/s in float32, %.0f in bfloat16; memory %.0f GB/s read, %.0f copied\n\n' \
    "$(figure product_gflops <<<"$machine")" "$(figure product_gflops_bfloat16 <<<"$machine")" \
    "$(figure read_gb_per_second <<<"$machine")" "$(figure copy_gb_per_second <<<"$machine")"
row='%-48s %10s %10s %6s %9s %7s %7s  %s\n'
# shellcheck disable=SC2059
printf "$row" '' mews 'beside it' ratio 'of limit' MiB 'MiB' 'beside it by'

# line NAME "MEWS' WORDS" "THE PEER'S WORDS": ROUNDS in the latter stands for the rounds that mews took.
line() {
    local name=$1 peer=$3 got again beside='' why='' share
    [[ $name == *"$only"* ]] || return 0
    # shellcheck disable=SC2086
    got=$(./mews bench $2 --json --threads "$threads" | tr -d '\n')
    if [ -n "$python" ] && [ -n "$peer" ]; then
        # shellcheck disable=SC2086
        beside=$("$python" tests/reference/bench_peers.py "$threads" ${peer/ROUNDS/$(figure iterations <<<"$got")} 2>"$said") ||
            why=$(tail -n 1 "$said")
        # shellcheck disable=SC2086
        again=$(./mews bench $2 --json --threads "$threads" | tr -d '\n')
        if awk -v a="$(figure seconds <<<"$got")" -v b="$(figure seconds <<<"$again")" 'BEGIN { exit !(b > a) }'; then got=$again; fi
    fi
    share=$(figure peak_share <<<"$got")
    [ "$share" != null ] || share=''
    awk -v name="$name" -v mews="$(figure seconds <<<"$got")" -v share="$share" -v rss="$(figure peak_rss_mib <<<"$got")" \
        -v beside="$beside" -v why="$why" -v row="$row" 'BEGIN {
            n = split(beside, part, " ")
            way = beside
            sub(/^[^ ]* [^ ]* /, "", way)
            printf row, name, sprintf("%.3g s", mews), n ? sprintf("%.3g s", part[1]) : "-",
                n ? sprintf("%.2f", part[1] / mews) : "-", share == "" ? "-" : sprintf("%.2f", share),
                sprintf("%.0f", rss), n ? sprintf("%.0f", part[2]) : "-", n ? way : why
        }'
}

for precision in float32 bfloat16; do
    line "step, resnet8 16, 256 pairs, $precision" "step --width 16 --precision $precision" "step resnet8:16 256 32 $precision"
    line "step, resnet8 64, 64 pairs, $precision" "step --width 64 --batch 64 --precision $precision" "step resnet8:64 64 32 $precision"
    line "step, falcon8 128, 64 pairs, $precision" "step --backbone falcon8 --width 128 --batch 64 --precision $precision" "step falcon8:128 64 32 $precision"
    line "step, resnet18, 64 pairs, $precision" "step --backbone resnet18 --batch 64 --precision $precision" "step resnet18 64 32 $precision"
    line "step, vit_small, 224 pixels, 16 pairs, $precision" "step --backbone vit_small --size 224 --batch 16 --precision $precision" "step vit_small 16 224 $precision"
    line "step, vit_tiny/4, 32 pixels, 256 pairs, $precision" "step --backbone vit_tiny --patch 4 --batch 256 --precision $precision" "step vit_tiny 256 32 $precision"
    line "loss, 16,384 random signs, $precision" "loss --features 2048 --codes 16384 --precision $precision" "loss 2048 16384 256 $precision"
    line "loss, 16,384 normal codes, $precision" "loss --features 2048 --codes 16384 --dictionary gaussian --precision $precision" "loss 2048 16384 256 $precision"
done
line 'loss, 16,384 Hadamard codes, beside dense ones' 'loss --features 2048 --codes 16384 --dictionary hadamard' 'loss 2048 16384 256'
line 'loss, 1,048,576 Hadamard codes' 'loss --features 2048 --codes 1048576 --dictionary hadamard' ''
line 'RankMe of 50,000 x 512' spectrum 'spectrum 50000 512'
line 'k-means, 10 clusters of 50,000 x 512' kmeans 'kmeans 50000 512 10 ROUNDS'
line '20 nearest of 50,000 x 512 for 10,000 rows' knn 'knn 50000 512 10000'
line '256 augmented pairs of 32 x 32, one core' augment 'augment 256'
[ -n "$python" ] || printf '\n%s\n' 'Nothing beside mews: python3 -m venv build/peers && build/peers/bin/pip install -r tests/reference/bench-requirements.txt'
