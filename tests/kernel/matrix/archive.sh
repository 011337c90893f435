# Kernels from Debian's archive, downloaded and unpacked in the cache folder, never installed: sourced.
# shellcheck shell=bash

archive=$cache/kernels
# The cloud kernels: a third of the size, and all that a virtual machine needs.
flavour=cloud-amd64
# Oldest first: bullseye has 5.10, bookworm 6.1, bookworm-backports 6.12, trixie-backports each one after it.
archive_suites=(debian-security/bullseye-security debian/bookworm debian/bookworm-backports debian/trixie-backports)

# apt with lists and packages of its own, whatever the machine's sources are; packages are signed as always.
# A suite that has retired is no reason to fail.
prepare_archive() {
  packages debian-archive-keyring kmod xz-utils zstd
  mkdir -p "$archive/apt/lists/partial" "$archive/apt/archives/partial" "$archive/apt/parts" "$archive/packages"
  local suite
  for suite in "${archive_suites[@]}"; do
    echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no]" \
      "http://deb.debian.org/${suite%/*} ${suite#*/} main"
  done >"$archive/apt/sources.list"
  cat >"$archive/apt/apt.conf" <<CONF
Dir::State::lists "$archive/apt/lists";
Dir::Cache "$archive/apt";
Dir::Etc::SourceList "$archive/apt/sources.list";
Dir::Etc::SourceParts "$archive/apt/parts";
APT::Architecture "amd64";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
CONF
}

in_archive() { APT_CONFIG=$archive/apt/apt.conf "$@"; }

# The lists are read again when they are older than a day, so that a run may name a kernel that came since.
update_archive() {
  [ -z "$(find "$archive/apt/updated" -mtime -1 2>/dev/null)" ] || return 0
  say "reading the package lists of Debian's suites"
  in_archive apt-get update -q >"$archive/apt/log" 2>&1 || { tail -n 5 "$archive/apt/log" >&2; return 1; }
  touch "$archive/apt/updated"
}

# The newest release of a version: 6.12 -> 6.12.95+deb12-cloud-amd64.
newest_release() {
  in_archive apt-cache search --names-only "^linux-image-${1//./\\.}[.+-].*$flavour\$" |
    sed 's/^linux-image-//; s/ .*//' | sort -V | tail -n 1
}

# unpack FOLDER PACKAGE...: downloads and unpacks.
unpack() {
  local folder=$1 file
  shift
  (cd "$archive/packages" && in_archive apt-get download -q "$@" >"$archive/apt/log" 2>&1) ||
    { tail -n 5 "$archive/apt/log" >&2; return 1; }
  for file in "$archive"/packages/*.deb; do
    dpkg-deb -x "$file" "$folder"
  done
  rm -f "$archive"/packages/*.deb
}

# fetch_kernel VERSION: sets `release` and makes $archive/$release with vmlinuz and modules; a warm one needs no network.
fetch_kernel() {
  local version=$1 new parts
  release=$(cat "$archive/release-$version" 2>/dev/null) || release=
  if [ -z "$release" ] || [ -n "${newest:-}" ]; then
    update_archive || return 1
    release=$(newest_release "$version")
    [ -n "$release" ] || { echo "no linux-image-$version* for $flavour in ${archive_suites[*]}" >&2; return 1; }
  fi
  if [ ! -e "$archive/$release/vmlinuz" ]; then
    say "fetching Linux $release"
    update_archive || return 1
    new=$archive/$release.new
    rm -rf "$new"
    # Since 7.0 the image's package only depends on others; modules.builtin is in -base.
    parts=$(in_archive apt-cache show "linux-image-$release" |
      grep -oF -e "linux-base-$release" -e "linux-binary-$release" -e "linux-modules-$release" | sort -u) || true
    # shellcheck disable=SC2086 # package names hold no spaces
    unpack "$new" "linux-image-$release" $parts || return 1
    # Older packages have lib/modules and the image in boot.
    [ -d "$new/lib/modules" ] || ln -s usr/lib "$new/lib"
    mv "$new"/boot/vmlinuz-* "$new/vmlinuz" 2>/dev/null || mv "$new/lib/modules/$release/vmlinuz" "$new/vmlinuz" || return 1
    depmod -b "$new" "$release" || return 1
    mv "$new" "$archive/$release"
  fi
  echo "$release" >"$archive/release-$version"
}

# A shell that needs no library, for the first process of the machine.
fetch_busybox() {
  [ ! -x "$archive/busybox/bin/busybox" ] || return 0
  update_archive && unpack "$archive/busybox" busybox-static
}
