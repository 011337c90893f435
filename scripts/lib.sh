# What the scripts share: sourced, never run. Calling any of it again costs nothing.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Built tools are kept outside the tree, for the next clone.
cache=${KUBESTRACE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubestrace}
# The distribution's Python: its bcc bindings work with no other.
system_python=/usr/bin/python3

# Bold where a person reads it, plain in a log.
say() { bold "== $*" >&2; }
bold() { if [[ -t 2 ]]; then printf '\033[1m%s\033[0m\n' "$*"; else printf '%s\n' "$*"; fi; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

need_root() {
  [ "$(id -u)" = 0 ] || die "loading BPF programs needs root: run sudo $0"
}

# missing_packages NAME...: sets `missing` to the Debian or Ubuntu packages that are not installed.
missing_packages() {
  local name
  missing=()
  for name in "$@"; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
}

# packages NAME...: installs the packages that are missing, and starts none of their services.
packages() {
  local missing
  missing_packages "$@"
  [ ${#missing[@]} = 0 ] || (
    # Parts of scripts/test run beside each other.
    exec 7>"$cache/apt.lock"
    flock -w 600 7 || die "another installation of packages has not ended after 10 minutes"
    missing_packages "$@"
    [ ${#missing[@]} = 0 ] || install_missing
  ) || exit 1
}

install_missing() {
  command -v apt-get >/dev/null || die "needs the packages ${missing[*]}; without apt-get (Debian, Ubuntu) install them by hand"
  say "installing ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d made_policy=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made_policy=1
  fi
  local status=0
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q --no-install-recommends "${missing[@]}" >"$cache/apt.log" 2>&1 ||
    { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$cache/apt.log" 2>&1 ||
    status=$?
  [ -z "$made_policy" ] || rm -f "$policy"
  [ $status = 0 ] || { tail -n 20 "$cache/apt.log" >&2; die "apt-get could not install ${missing[*]} (log: $cache/apt.log)"; }
}

# python_env EXTRA...: installs the project with these extras into .venv, again when pyproject.toml has changed.
python_env() {
  packages python3 python3-venv python3-bpfcc libbpf1
  local extras wanted
  extras=$(IFS=,; echo "$*")
  wanted=$( (echo "$extras $($system_python --version)"; cat "$root/pyproject.toml") | sha256sum)
  if [ "$(cat "$root/.venv/kubestrace-$extras" 2>/dev/null)" != "$wanted" ]; then
    say "installing Python packages (extras: $extras)"
    [ -x "$root/.venv/bin/python" ] || $system_python -m venv "$root/.venv"
    "$root/.venv/bin/python" -m pip install -q --disable-pip-version-check -e "${root}[$extras]"
    ln -sfn /usr/lib/python3/dist-packages/bcc "$("$root/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/bcc"
    echo "$wanted" >"$root/.venv/kubestrace-$extras"
  fi
  PATH="$root/.venv/bin:$PATH"
  export PATH
}

mkdir -p "$cache"
