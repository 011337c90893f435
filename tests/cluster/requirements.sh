# Packages and kernel settings that the cluster needs: sourced after rig.sh.
# shellcheck shell=bash

# Checks for commands, not packages: Debian's containerd would replace that of Docker.
check_requirements() {
  local pair missing=()
  for pair in containerd:containerd runc:runc etcd:etcd-server iptables:iptables conntrack:conntrack \
    ip:iproute2 openssl:openssl nsenter:util-linux; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  for cni_bin in /usr/lib/cni /opt/cni/bin ''; do
    [ ! -x "$cni_bin/ptp" ] || break
  done
  [ -n "$cni_bin" ] || missing+=(containernetworking-plugins)
  cni_bin=${cni_bin:-/usr/lib/cni}
  [ ${#missing[@]} = 0 ] || packages "${missing[@]}"
}

# kubelet sets these for the whole machine; down restores them.
kernel_settings=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops
  kernel/keys/root_maxkeys kernel/keys/root_maxbytes)

save_kernel_settings() {
  local name
  for name in "${kernel_settings[@]}"; do
    echo "$name $(cat "/proc/sys/$name")"
  done >"$rig/kernel-settings"
}

restore_kernel_settings() {
  local name value
  [ -e "$rig/kernel-settings" ] || return 0
  while read -r name value; do
    [ "$(cat "/proc/sys/$name")" = "$value" ] || echo "$value" >"/proc/sys/$name"
  done <"$rig/kernel-settings"
}
