# Sourced by cut_link.sh and shaped_link.sh; two machines: network namespaces $a and $b of this one, with real TCP between
# 10.98.77.1 and 10.98.77.2 over the interface cut0. hosts_up makes them; hosts_down ends what runs there and takes them
# away; hosts_launcher KIND sets the array `launcher` to what starts one process on each. Needs root and iproute2.
a=ma$$ b=mb$$ here=$PWD

hosts_up() {
    ip netns add $a
    ip netns add $b
    ip link add cut0 netns $a type veth peer name cut0 netns $b
    ip -n $a addr add 10.98.77.1/24 dev cut0
    ip -n $b addr add 10.98.77.2/24 dev cut0
    for n in $a $b; do
        ip -n $n link set lo up
        ip -n $n link set cut0 up
    done
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
}

hosts_down() {
    for n in $a $b; do
        ip netns pids $n | xargs -r kill -KILL 2>/dev/null || true
        ip netns del $n
    done
    rm -rf /tmp/ompi.host-$a.0 /tmp/ompi.host-$b.0
}

# Both libraries would else take the two for one machine and use its memory.
hosts_launcher() {
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    case $1 in
    openmpi) launcher=(mpirun.openmpi --bind-to none --host 10.98.77.1:1,10.98.77.2:1 -n 2 -x MEWS_HEARTBEAT
        --mca btl tcp,self --mca plm_rsh_agent "$here/agent") ;;
    mpich) launcher=(mpiexec.hydra -launcher ssh -launcher-exec "$here/agent" -hosts 10.98.77.1,10.98.77.2 -n 2
        -genv UCX_TLS tcp,self) ;;
    esac
}

# A command on the first machine, known there by its name.
on_first() { ip netns exec $a unshare -u sh -c 'hostname host-'$a'; exec "$@"' x "$@"; }
