# A cgroup root for every node, on machines with cgroup v2 only and on hybrid ones: sourced after rig.sh.
# shellcheck shell=bash

cgroup_of() { echo "${rig##*/}-$1"; }

# Prints the mounted hierarchies: one with cgroup v2 only; on a hybrid machine one per v1 controller, and `unified`.
hierarchies() { awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts | grep '^/sys/fs/cgroup' | sort -u; }

make_cgroup() {
  local hierarchy folder
  for hierarchy in $(hierarchies); do
    folder=$hierarchy/$(cgroup_of "$1")
    if [ "$hierarchy" = /sys/fs/cgroup ]; then
      enable_controllers "$hierarchy"
      mkdir -p "$folder"
      enable_controllers "$folder"
      continue
    fi
    mkdir -p "$folder"
    # A new v1 cpuset is empty and accepts no process.
    if [ -e "$folder/cpuset.cpus" ]; then
      cat "$hierarchy/cpuset.cpus" >"$folder/cpuset.cpus"
      cat "$hierarchy/cpuset.mems" >"$folder/cpuset.mems"
    fi
  done
}

# kubelet requires these five in its cgroup v2 tree.
enable_controllers() {
  local name
  for name in cpu cpuset io memory pids; do
    echo "+$name" >"$1/cgroup.subtree_control" ||
      die "cgroup controller $name cannot be enabled in $1: is this inside a container without a cgroup tree of its own?"
  done
}

# Folders may disappear while the tree is read.
cgroup_processes() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    find "$hierarchy/$(cgroup_of "$1")" -name cgroup.procs -exec cat {} + 2>/dev/null || true
  done | sort -un
}

# empty_cgroup NODE: kills what runs in the node's cgroups, that is its containers.
empty_cgroup() {
  local pids tries
  for tries in $(seq 100); do
    pids=$(cgroup_processes "$1")
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086
    kill -s KILL $pids 2>/dev/null || true
    sleep 0.1
  done
  die "processes of $1 survive SIGKILL after $tries tries: $pids"
}

remove_cgroup() {
  local hierarchy folder
  for hierarchy in $(hierarchies); do
    folder=$hierarchy/$(cgroup_of "$1")
    [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + || die "$folder is still in use"
  done
}
