# What the rig's commands share: paths, addresses, and starting and ending daemons. Sourced, never run.
# shellcheck shell=bash
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

# set -e alone ends without a message.
set -E
trap 'printf "error: %s:%s: %s\n" "${BASH_SOURCE[0]}" "$LINENO" "$BASH_COMMAND" >&2' ERR

here=$root/tests/cluster
# One rig per folder; several can run at a time. Holds all state: certificates, logs, etcd's data, the nodes' /var/lib.
# Not below /run, which is memory on many machines.
rig=${KUBESTRACE_RIG:-/var/lib/kubestrace-rig}
nodes=(node-1 node-2)

# Addresses live in the rig's own network namespaces: they cannot collide with the machine's.
control_ip=10.89.0.1
service_range=10.96.0.0/16
service_ip=10.96.0.1
node_number() { echo "${1##*-}"; }
node_ip() { echo "10.89.0.1$(node_number "$1")"; }
pod_range() { echo "10.244.$(node_number "$1").0/24"; }

# One command changes the rig at a time.
lock_rig() {
  mkdir -p "$rig"/{pids,logs,daemons}
  exec 9>"$rig/lock"
  flock -w 3600 9 || die "another command has held $rig/lock for an hour"
}

# After a reboot or a wrap a PID may belong to another process: the start time identifies it. One that was killed reads as a
# zombie while others of its threads still hold its sockets: it is there until none is left.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" || $18 > 1 {print $20}'; }

record_pid() { echo "$2 $(start_time "$2")" >"$rig/pids/$1"; }

# pid_of NAME: prints the PID of a running daemon, else fails.
pid_of() {
  local pid started
  read -r pid started 2>/dev/null <"$rig/pids/$1" || return 1
  [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] || return 1
  echo "$pid"
}

# inside PLACE CMD...: runs CMD in the namespaces of a place (control, node-1, ...).
# Never use `ip netns exec`: it remounts /sys, without the cgroups.
inside() {
  local place=$1 pid
  shift
  pid=$(pid_of "$place") || die "$place does not run: tests/cluster/up"
  if [ "$place" = control ]; then
    nsenter --target "$pid" --net -- "$@"
  else
    nsenter --target "$pid" --net --mount -- "$@"
  fi
}

# without_files CMD...: runs CMD with none of our open files but the first three: a daemon must not hold a lock, ours or
# that of a caller (flock FILE tests/cluster/up).
without_files() {
  local fd
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    [ "$fd" -le 2 ] || [ "$fd" = 255 ] || eval "exec $fd>&-"
  done
  exec "$@"
}

# start NAME PLACE CMD...: starts a daemon in a place, and records the command for restart.
start() {
  local name=$1 place=$2
  shift 2
  { printf '%q ' "$place" "$@"; echo; } >"$rig/daemons/$name"
  restart "$name"
}

# restart NAME [ARGUMENT...]: starts a daemon again, once with more arguments.
restart() {
  local name=$1 place command
  shift
  eval "command=($(cat "$rig/daemons/$name"))"
  place=$(pid_of "${command[0]}") || die "${command[0]} does not run: tests/cluster/up"
  local namespaces=(--net)
  [ "${command[0]}" = control ] || namespaces+=(--mount)
  # Nothing forks here, so that $! is the daemon itself.
  without_files setsid nsenter --target "$place" "${namespaces[@]}" -- "${command[@]:1}" "$@" \
    >>"$rig/logs/$name.log" 2>&1 </dev/null &
  record_pid "$name" $!
}

# stop NAME [SIGNAL]: ends a daemon and waits for it, 10 s at most before it is killed.
stop() {
  local pid tries=0
  pid=$(pid_of "$1") || return 0
  kill -s "${2:-TERM}" "$pid" 2>/dev/null || return 0
  while pid_of "$1" >/dev/null; do
    tries=$((tries + 1))
    [ $tries != 100 ] || kill -s KILL "$pid" 2>/dev/null || true
    sleep 0.1
  done
}

# wait_for SECONDS WHAT CMD...: waits until CMD succeeds; the error names WHAT.
wait_for() {
  local seconds=$1 what=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@" >"$rig/logs/wait.log" 2>&1; do
    [ $SECONDS -lt $end ] || die "$what: not within $seconds s (logs: $rig/logs): $(tail -n 3 "$rig/logs/wait.log")"
    sleep 0.2
  done
}

nodes_are_ready() {
  [ "$(api get nodes -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {end}')" = \
    "$(printf 'True %.0s' "${nodes[@]}")" ]
}

# is_up: every daemon lives, the API server answers, the nodes are ready.
is_up() {
  local name
  [ -e "$rig/is-up" ] || return 1
  for name in "$rig"/pids/*; do
    pid_of "${name##*/}" >/dev/null || return 1
  done
  api get --raw /readyz --request-timeout 5s >/dev/null 2>&1 && nodes_are_ready 2>/dev/null
}

api() { inside control kubectl --kubeconfig "$rig/admin.conf" "$@"; }
