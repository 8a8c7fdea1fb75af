#!/bin/bash
# Hours in the background: tests/soak.sh MEWS HOURS FOLDER (make soak HOURS=N). Two programs that live all the time: a sweep of
# four methods under one seed after another, and one training of many epochs. Every ten seconds /proc says how much memory
# and how many descriptors each has and how long it has computed, the results how many runs ended and how many steps were
# taken. FOLDER gets samples.csv, soak.svg and a verdict: flat, or what changes. Ends with 1 when something does, or fails.
set -e
mews=$(realpath "$1")
seconds=$(awk "BEGIN { printf \"%d\", 3600 * $2 }")
mkdir -p "$3"
cd "$3"
rm -rf samples.csv runs
mkdir runs
cd runs
cat >sweep.yaml <<'YAML'
name: soak
data: {name: shapes, size: 16, limit: 256, cache: cache}
backbone: {name: resnet8, width: 4}
train: {epochs: 2, batch: 64, threads: 1, loader_threads: 1, checkpoint_every: 1}
eval: {metrics: [linear, knn, kmeans, prototypes, collapse], sample: 500}
methods:
  falcon: {method: {features: 16, codes: 64}}
  barlow_twins: {method: {hidden: 16, features: 16}}
  vicreg: {method: {hidden: 16, features: 16}}
  dino: {method: {hidden: 16, features: 8, prototypes: 32}}
YAML
printf 'sweep:\n  method: [falcon, barlow_twins, vicreg, dino]\n  train.seed: [%s]\n' "$(seq -s, 0 499)" >>sweep.yaml
cat >long.yaml <<'YAML'
name: long
data: {name: shapes, size: 16, limit: 8192, cache: cache}
backbone: {name: resnet8, width: 4}
method: {name: falcon, features: 16, codes: 64}
train: {epochs: 100000, batch: 64, threads: 1, loader_threads: 1}
YAML
"$mews" data verify sweep.yaml >log 2>&1
"$mews" sweep sweep.yaml -j 1 >>log 2>&1 &
sweep=$!
"$mews" train long.yaml --out alone >>log.long 2>&1 &
train=$!

kib() { awk '/^VmRSS/ { print $2 }' /proc/$1/status; }
files() { ls /proc/$1/fd | wc -l; }
# Ticks of a processor, with those of children that have ended.
ticks() { sed 's/.*) //' /proc/$1/stat | awk '{ print $12 + $13 + $14 + $15 }'; }
begin=$(date +%s)
echo seconds,sweep_kib,sweep_files,runs,train_kib,train_files,step,sweep_ticks,train_ticks >../samples.csv
while test $(($(date +%s) - begin)) -lt "$seconds"; do
    sleep 10
    kill -0 $sweep && kill -0 $train || { echo "soak: one of the two ended by itself; see log and log.long in $3/runs"; kill $sweep $train; exit 1; }
    runs=$(find results/soak -maxdepth 2 -name diagnosis.json 2>/dev/null | wc -l)
    step=$(tail -n 1 alone/long/*/metrics.jsonl 2>/dev/null | sed -n 's/^{"step":\([0-9]*\).*/\1/p')
    echo "$(($(date +%s) - begin)),$(kib $sweep),$(files $sweep),$runs,$(kib $train),$(files $train),${step:-0},$(ticks $sweep),$(ticks $train)" >>../samples.csv
done
kill -TERM $sweep $train
code=0
wait $sweep || code=$?
test $code -eq 130 || { echo "soak: told to stop, the sweep ended with $code"; exit 1; }
code=0
wait $train || code=$?
test $code -eq 130 || { echo "soak: told to stop, the training ended with $code"; exit 1; }

# One more run of the sweep, beside all that are there and in an empty folder, in turn: seconds of computing. While the soak
# goes on they tell little, since the busier the rest of the machine is the more of them a run takes.
TIMEFORMAT='%U %S'
next=$("$mews" sweep sweep.yaml --dry-run | awk '$2 == "new" { id = $3 } END { print id }')
computes() {
    rm -rf "$1/soak/$next"
    { time "$mews" train sweep.yaml --out "$1" --only "$next" >/dev/null 2>>log; } 2>&1 | awk '{ print $1 + $2 }'
}
for i in 1 2 3 4 5 6 7; do
    echo "$(computes results) $(computes alone.one)"
    rm -rf alone.one
done >../one-more
cd ..
median() { awk -v c="$1" '{ print $c }' one-more | sort -n | sed -n 4p; }

# The rise of a column over the whole time as a share of its mean, by least squares, without the first fifth, in which
# caches fill; and how much more a tick brought in the last half of that time than in its first.
rise() {
    awk -F, -v c="$1" 'NR > 1 { x[++n] = $1; y[n] = $c } END {
        for (i = int(n / 5) + 1; i <= n; i++) { k++; sx += x[i]; sy += y[i]; sxx += x[i] * x[i]; sxy += x[i] * y[i] }
        d = k * sxx - sx * sx
        if (k < 3 || d == 0 || sy == 0) { print "nan"; exit }
        printf "%+.4f", (k * sxy - sx * sy) / d * (x[n] - x[n - k + 1]) / (sy / k) }' samples.csv
}
speedup() {
    awk -F, -v c="$1" -v t="$2" 'NR > 1 { x[++n] = $t; y[n] = $c } END { f = int(n / 5) + 1; m = int((f + n) / 2)
        if (m <= f || y[m] == y[f] || y[n] == y[m]) { print "nan"; exit }
        printf "%+.4f", (y[n] - y[m]) / (x[n] - x[m]) / ((y[m] - y[f]) / (x[m] - x[f])) - 1 }' samples.csv
}
gnuplot <<PLOT
set terminal svg size 800,800 font "DejaVu Sans,11" background "white"
set output "soak.svg"
set datafile separator ","
set key bottom right
set autoscale xfix
set border 3
set tics nomirror
set multiplot layout 3,1
set title "memory, MiB, by minutes"
set yrange [0:*]
plot "samples.csv" every ::1 using (\$1/60):(\$2/1024) with lines title "sweep", "" every ::1 using (\$1/60):(\$5/1024) with lines title "training"
set title "open descriptors"
plot "samples.csv" every ::1 using (\$1/60):3 with lines title "sweep", "" every ::1 using (\$1/60):6 with lines title "training"
set title "by seconds of computing, each from 0 to 1: runs that ended, steps"
stats "samples.csv" every ::1 using 8:4 name "S" nooutput
stats "samples.csv" every ::1 using 9:7 name "T" nooutput
plot "samples.csv" every ::1 using (\$8/S_max_x):(\$4/S_max_y) with lines title "runs", "" every ::1 using (\$9/T_max_x):(\$7/T_max_y) with lines title "steps"
PLOT
tail -n 1 samples.csv | awk -F, '{ printf "%d s: %d runs of a sweep, %d steps of a training\n", $1, $4, $7 }'
changes=0
judge() { # NAME CHANGE FROM TO
    printf '%-36s %s\n' "$1" "$2"
    awk "BEGIN { exit !(\"$2\" != \"nan\" && $2 + 0 > $3 && $2 + 0 < $4) }" || changes=1
}
judge "memory of the sweep" "$(rise 2)" -1 0.05
judge "descriptors of the sweep" "$(rise 3)" -1 0.05
judge "memory of the training" "$(rise 5)" -1 0.05
judge "descriptors of the training" "$(rise 6)" -1 0.05
judge "a run beside all others" "$(awk "BEGIN { printf \"%+.4f\", $(median 1) / $(median 2) - 1 }")" -1 0.1
echo "runs for a second of computing    $(speedup 4 8) (as busy as the machine is)"
judge "steps for a second of computing" "$(speedup 7 9)" -0.1 1
test $changes -eq 0 && echo flat || { echo "not flat: $3/soak.svg"; exit 1; }
