#!/usr/bin/env bash
# cut_link.sh openmpi|mpich PROGRAM EVENT: `PROGRAM train toy.yaml --events` of this folder on two machines, which are
# network namespaces of this one with real TCP between them; the link goes down once a line with EVENT was printed. Ends
# with 0 when both processes end, the one that is left names the other, and the run goes on without it. Needs root and
# iproute2.
set -e
kind=$1 program=$2 event=$3
. "$(dirname "$0")/hosts.sh"
trap hosts_down EXIT
hosts_up
export MEWS_HEARTBEAT=4
hosts_launcher "$kind"
on_first "${launcher[@]}" "$program" train toy.yaml --events >out 2>err </dev/null &
started=$!

running() {
    for p in $(ip netns pids $a) $(ip netns pids $b); do
        if tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q "^$program train"; then echo "$p"; fi
    done
}
for _ in $(seq 1200); do
    ! grep -q "$event" out || break
    kill -0 $started
    sleep 0.05
done
test "$(running | wc -l)" = 2
ip -n $b link set cut0 down
for _ in $(seq 600); do
    test -z "$(running)" && break
    sleep 0.1
done
test -z "$(running)"
# The same command, on the machine that is left and by itself.
on_first "$program" train toy.yaml >out 2>alone </dev/null
grep -q '"status": "finished"' results/toy/toy_*/run.json
grep "nothing has been heard of rank 1 on host-$b for 4 seconds" err
