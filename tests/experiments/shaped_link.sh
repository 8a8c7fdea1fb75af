#!/usr/bin/env bash
# shaped_link.sh openmpi|mpich RATE COMMAND...: the command as two processes on two machines, which are network namespaces
# of this one, over a link that carries RATE (10gbit) each way. By hand: no suite runs it. Needs root and iproute2.
set -e
kind=$1 rate=$2
shift 2
. "$(dirname "$0")/hosts.sh"
here=$(mktemp -d)
program=$(realpath "$(command -v "$1")")
shift
cd "$here"
trap 'hosts_down; rm -rf "$here"' EXIT
hosts_up
for n in $a $b; do tc -n $n qdisc add dev cut0 root tbf rate "$rate" burst 1mb latency 50ms; done
hosts_launcher $kind
on_first "${launcher[@]}" "$program" "$@" </dev/null
