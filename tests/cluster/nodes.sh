# A node is a network namespace and a mount namespace, kept by a process that sleeps: sourced after cgroups.sh.
# shellcheck shell=bash

# Folders of kubelet, containerd and CNI: each node has its own at the default paths, which the chart mounts.
node_folders=(/etc/cni /run/netns /var/lib/cni /var/lib/containerd /var/lib/kubelet /var/log)

# A mark in every node's mounts: it identifies each process of a node, including shims.
mark_of() { echo "kubestrace-rig:$rig/$1"; }

# hold NAME CMD...: CMD becomes the process that keeps a place's namespaces.
hold() {
  local name=$1
  shift
  without_files setsid "$@" >>"$rig/logs/$name.log" 2>&1 </dev/null &
  record_pid "$name" $!
}

# Until the namespaces differ from ours, nsenter would act on the machine itself.
is_apart() {
  local pid
  pid=$(pid_of "$1") && [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# The control plane's network namespace is also the switch and the router between the nodes.
make_control() {
  hold control unshare --net sleep infinity
  wait_for 5 "the control plane's namespace" is_apart control
  inside control sh -ec "
    ip link set lo up
    ip link add rig type bridge
    ip address add $control_ip/24 dev rig
    ip link set rig up
    echo 1 >/proc/sys/net/ipv4/ip_forward"
}

make_node() {
  local node=$1 folder
  for folder in "${node_folders[@]}" /run/containerd; do
    mkdir -p "$rig/$node$folder"
    [ -d "$folder" ] || { mkdir -p "$folder" && echo "$folder" >>"$rig/made-folders"; }
  done
  make_cgroup "$node"
  hold "$node" unshare --net --mount --propagation private \
    "$here/node-mounts" "$rig/$node" "$(mark_of "$node")" "${node_folders[@]}"
  wait_for 5 "the mounts of $node" inside_is_ready "$node"
  connect "$node"
}

inside_is_ready() { is_apart "$1" && inside "$1" test -e /run/containerd/.ready; }

connect() {
  local node=$1 number
  number=$(node_number "$node")
  inside control sh -ec "
    ip link add to-$node type veth peer name eth0 netns $(pid_of "$node")
    ip link set to-$node master rig up
    ip route add $(pod_range "$node") via $(node_ip "$node")"
  # The default route is needed for Service addresses, which iptables rewrites only after a route was found.
  inside "$node" sh -ec "
    ip link set lo up
    ip address add $(node_ip "$node")/24 dev eth0
    ip link set eth0 up
    ip route add default via $control_ip
    echo 1 >/proc/sys/net/ipv4/ip_forward"
}

configure_node() {
  local node=$1 kubelet=$rig/$1/var/lib/kubelet
  mkdir -p "$rig/$node/etc/cni/net.d" "$kubelet/manifests"
  sed "s|@POD_RANGE@|$(pod_range "$node")|" "$here/config/cni.conflist" >"$rig/$node/etc/cni/net.d/10-rig.conflist"
  sed "s|@CNI_BIN@|$cni_bin|" "$here/config/containerd.toml" >"$rig/$node/containerd.toml"
  sed "s|@CGROUP@|$(cgroup_of "$node")|; s|@PKI@|$rig/pki|; s|@NODE@|$node|; s|@IP@|$(node_ip "$node")|" \
    "$here/config/kubelet.yaml" >"$kubelet/config.yaml"
}

start_containerd() { start "$1-containerd" "$1" containerd --config "$rig/$1/containerd.toml"; }

start_kubelet() {
  local node=$1
  start "$node-kubelet" "$node" kubelet --config /var/lib/kubelet/config.yaml --kubeconfig "$rig/$node.conf" \
    --hostname-override "$node" --node-ip "$(node_ip "$node")"
  # Its conntrack limits are the machine's, not the namespace's: 0 leaves them.
  start "$node-kube-proxy" "$node" kube-proxy --kubeconfig "$rig/kube-proxy.conf" --hostname-override "$node" \
    --proxy-mode iptables --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 \
    --conntrack-tcp-timeout-close-wait 0
}

# Every process that sees the node's mounts: daemons, shims, node-exec; containers are found by their cgroup.
node_processes() {
  local mark file
  mark=$(mark_of "$1")
  for file in /proc/[0-9]*/mountinfo; do
    if grep -qsF -- "$mark " "$file"; then
      file=${file#/proc/}
      echo "${file%/mountinfo}"
    fi
  done
}

# remove_node NODE: ends kubelet first, because it would start again what we end.
remove_node() {
  local node=$1 tries pids folder
  stop "$node-kubelet" KILL
  stop "$node-kube-proxy" KILL
  empty_cgroup "$node"
  stop "$node-containerd" KILL
  for tries in $(seq 50); do
    pids=$(node_processes "$node")
    [ -n "$pids" ] || break
    # shellcheck disable=SC2086
    kill -s KILL $pids 2>/dev/null || true
    sleep 0.1
  done
  # Again, for containers that containerd still started while it ended.
  empty_cgroup "$node"
  remove_cgroup "$node"
  rm -rf --one-file-system "${rig:?}/$node"
}

# Removes the mount points that we made, when no node is left: the kernel unmounts what loses its mount point.
remove_folders() {
  local folder
  [ -e "$rig/made-folders" ] || return 0
  ! grep -qsF kubestrace-rig: /proc/[0-9]*/mountinfo || return 0
  while read -r folder; do
    rmdir "$folder" 2>/dev/null || true
  done <"$rig/made-folders"
}
