#!/usr/bin/env bash
# cut_link.sh openmpi|mpich PROGRAM: `PROGRAM train toy.yaml` of this folder on two machines, which are network namespaces
# of this one with real TCP between them; the link goes down after the first checkpoint. Ends with 0 when both processes
# end, the one that is left names the other, and the run goes on without it. Needs root and iproute2.
set -e
kind=$1 program=$2
a=ma$$ b=mb$$ here=$PWD
finish() {
    for n in $a $b; do
        ip netns pids $n | xargs -r kill -KILL 2>/dev/null || true
        ip netns del $n
    done
    rm -rf /tmp/ompi.host-$a.0 /tmp/ompi.host-$b.0
}
trap finish EXIT
ip netns add $a
ip netns add $b
ip link add cut0 netns $a type veth peer name cut0 netns $b
ip -n $a addr add 10.98.77.1/24 dev cut0
ip -n $b addr add 10.98.77.2/24 dev cut0
ip -n $a link set lo up
ip -n $b link set lo up
ip -n $a link set cut0 up
ip -n $b link set cut0 up
for n in $a $b; do # UCX passes over a link that is not up yet
    until ip -n $n -br link show cut0 | grep -q ' UP '; do sleep 0.05; done
done

# In place of ssh: it is given "[options] HOST COMMAND...".
cat >agent <<X
#!/bin/sh
while [ "\${1#-}" != "\$1" ]; do shift; done
case \$1 in 10.98.77.1) n=$a ;; *) n=$b ;; esac
shift
cd $here
exec ip netns exec \$n unshare -u sh -c "hostname host-\$n; \$*"
X
chmod +x agent

# Both libraries would else take the two for one machine and use its memory.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 MEWS_HEARTBEAT=4
case $kind in
openmpi) set -- mpirun.openmpi --bind-to none --host 10.98.77.1:1,10.98.77.2:1 -n 2 -x MEWS_HEARTBEAT --mca btl tcp,self \
    --mca plm_rsh_agent "$here/agent" --mca oob_tcp_keepalive_time 2 --mca oob_tcp_keepalive_intvl 1 \
    --mca oob_tcp_keepalive_probes 3 ;;
mpich) set -- mpiexec.hydra -launcher ssh -launcher-exec "$here/agent" -hosts 10.98.77.1,10.98.77.2 -n 2 \
    -genv UCX_TLS tcp,self ;;
esac
ip netns exec $a unshare -u sh -c 'hostname host-'$a'; exec "$@"' x "$@" "$program" train toy.yaml >out 2>err </dev/null &
launcher=$!

running() {
    for p in $(ip netns pids $a) $(ip netns pids $b); do
        if tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q "^$program train"; then echo "$p"; fi
    done
}
for _ in $(seq 1200); do
    ls results/toy/*/checkpoint-* >/dev/null 2>&1 && break
    kill -0 $launcher
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
ip netns exec $a unshare -u sh -c 'hostname host-'$a'; exec "$@"' x "$program" train toy.yaml >out 2>alone </dev/null
grep -q '"computed_before"' results/toy/toy_*/run.json
grep "nothing has been heard of rank 1 on host-$b for 4 seconds" err
