# Boots a kernel under software emulation on this host's files, which it can only read: sourced after archive.sh.
# shellcheck shell=bash

# Of a busy machine with two cores: a boot takes 10 s, all engine tests take minutes.
machine_memory=3G

# virtiofsd is part of qemu's packages up to Debian 12 and Ubuntu 22.04, later a package of its own.
find_virtiofsd() {
  local path
  for path in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do
    [ ! -x "$path" ] || { echo "$path"; return; }
  done
  return 1
}

prepare_machine() {
  packages qemu-system-x86 e2fsprogs
  virtiofsd=$(find_virtiofsd) || { packages virtiofsd && virtiofsd=$(find_virtiofsd); } || die "there is no virtiofsd"
  fetch_busybox
}

# The modules that the root file system takes, in loading order and unpacked: busybox reads no xz.
add_modules() {
  local folder=$1 path name
  for path in virtio_pci virtiofs overlay virtio_blk; do
    modprobe -d "$archive/$release" -S "$release" --ignore-install --show-depends "$path"
  done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$work/modules"
  while read -r path; do
    name=$(basename "$path" | sed 's/\.ko.*/.ko/')
    case $path in
      *.xz) xz -dc "$path" ;;
      *.zst) zstd -qdc "$path" ;;
      *.gz) gzip -dc "$path" ;;
      *) cat "$path" ;;
    esac >"$folder/modules/$name"
    echo "$name"
  done <"$work/modules" >"$folder/modules/order"
}

# make_initramfs COMMAND: runs it as the last thing of a machine that then switches itself off.
make_initramfs() {
  local folder=$work/initramfs busybox=$archive/busybox/bin/busybox
  rm -rf "$folder"
  mkdir -p "$folder/bin" "$folder/modules"
  cp "$busybox" "$folder/bin/"
  cp "$root/tests/kernel/matrix/init" "$folder/init"
  chmod 755 "$folder/init"
  add_modules "$folder"
  printf '%s\n' "exec >/dev/ttyS1 2>&1 </dev/null; stty -F /dev/ttyS1 raw; $1; echo o >/proc/sysrq-trigger; sleep 60" >"$folder/command"
  (cd "$folder" && find . | "$busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs.gz"
}

# An empty disk: what reads and writes one finds no block device in files of the host or in memory.
make_disk() {
  rm -f "$work/disk"
  truncate -s 1G "$work/disk"
  # A test makes 100,000 files.
  mkfs.ext4 -q -F -N 262144 "$work/disk"
}

# The host's files as one read-only tree: what the machine may see, it cannot change. In a mount namespace of its own.
serve_files() {
  # shellcheck disable=SC2016 # for the inner shell
  unshare -m sh -c '
    set -e
    mount --make-rprivate /
    mount --bind / "$1"
    for folder in "$4" "$5"; do
      [ "$(stat -c %d "$folder")" = "$(stat -c %d /)" ] || mount --bind "$folder" "$1$folder"
    done
    mount -o remount,bind,ro "$1"
    exec "$2" --socket-path="$3" -o "source=$1" -o cache=always -o no_posix_lock -o no_writeback
  ' sh "$work/host" "$virtiofsd" "$work/files.socket" "$root" "$cache" >"$work/files.log" 2>&1 &
  files_pid=$!
  local tries=100
  until [ -S "$work/files.socket" ]; do
    kill -0 $files_pid 2>/dev/null && [ $((tries -= 1)) -gt 0 ] || { tail -n 5 "$work/files.log" >&2; die "virtiofsd does not start"; }
    sleep 0.1
  done
}

# run_machine SECONDS COMMAND: its output to $work/output, the kernel's to $work/console. Non-zero when it did not end.
run_machine() {
  local status=0
  make_initramfs "$2"
  make_disk
  mkdir -p "$work/host"
  rm -f "$work/files.socket" "$work/output" "$work/console"
  serve_files
  # Mitigations and a fifth level of page tables are dear under emulation, and no test asks for them. cmpxchg16b of
  # qemu 7.2 leaves wrong flags behind now and then, and 6.12 dies of a double fault; kernels do without it. But where
  # task storage comes from kmalloc_nolock, which needs it, there is none without: those kernels have it (`kernels`).
  # The kernel's check of its timer counts ticks in real time, and fails on a host that is busy just then.
  timeout --foreground "$1" qemu-system-x86_64 -accel tcg,thread=multi -cpu max,la57=off,cx16=${cx16:-off} -machine q35 -smp "${cpus:-2}" -m $machine_memory \
    -nodefaults -no-user-config -display none -no-reboot \
    -object "memory-backend-memfd,id=memory,size=$machine_memory,share=on" -numa node,memdev=memory \
    -chardev "socket,id=files,path=$work/files.socket" -device vhost-user-fs-pci,queue-size=1024,chardev=files,tag=host \
    -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
    -serial "file:$work/console" -serial "file:$work/output" \
    -kernel "$archive/$release/vmlinuz" -initrd "$work/initramfs.gz" \
    -append "console=ttyS0 panic=-1 mitigations=off tsc=reliable no_timer_check" >"$work/qemu.log" 2>&1 </dev/null || status=$?
  kill $files_pid 2>/dev/null || true
  wait $files_pid 2>/dev/null || true
  [ $status = 0 ] || { cat "$work/qemu.log" >&2; tail -n 15 "$work/console" >&2; }
  return $status
}
