# Jobs in the background, by name: sourced after lib.sh. Whoever sources this calls end_background when it exits.
# shellcheck shell=bash

# What runs in the background, by name: its process group and its output.
declare -A groups=() logs=()
logs_folder=$(mktemp -d)

# background NAME CMD...: starts CMD at the lowest priority; `collect` waits for it.
background() {
  local name=$1 tries
  shift
  logs[$name]=$logs_folder/$name
  # A session of its own can be ended as a whole. Where the kernel groups tasks by session (autogroup), the session has
  # a priority of its own, too.
  # shellcheck disable=SC2016,SC2094 # for the inner shell, which uses the output's name only to name its mark
  setsid bash -c '{ echo 19 >/proc/self/autogroup; } 2>/dev/null
    renice -n 19 $$ >/dev/null
    ionice -c 3 -p $$
    touch "$0.started"
    exec "$@"' "${logs[$name]}" "$@" >"${logs[$name]}" 2>&1 </dev/null &
  groups[$name]=$!
  # Until then it would still lower the priority that collect raises.
  for tries in $(seq 100); do
    [ ! -e "${logs[$name]}.started" ] || return 0
    sleep 0.1
  done
  die "$name did not start within $((tries / 10)) s"
}

# collect NAME: waits for what runs in the background, prints its output and fails when it failed.
collect() {
  local name=$1 status=0
  [ -n "${groups[$name]:-}" ] || return 0
  # From now on we wait for it: the lowest priority would only let other programs of the machine go first.
  renice -n 0 -g "${groups[$name]}" >/dev/null 2>&1 || true
  { echo 0 >/proc/"${groups[$name]}"/autogroup; } 2>/dev/null || true
  wait "${groups[$name]}" || status=$?
  unset "groups[$name]"
  cat "${logs[$name]}"
  [ $status = 0 ] || die "$name failed (exit code $status)"
}

# collect_ended: as collect, of those that have ended already, so that a failure does not wait for the other parts.
collect_ended() {
  local name
  for name in "${!groups[@]}"; do
    kill -0 "${groups[$name]}" 2>/dev/null || collect "$name"
  done
}

# end_background: ends what still runs, with everything that it started.
end_background() {
  local name
  for name in "${!groups[@]}"; do
    kill -- "-${groups[$name]}" 2>/dev/null || true
    # A job that does not end by itself is killed.
    timeout 30 tail --pid="${groups[$name]}" -f /dev/null || kill -KILL -- "-${groups[$name]}" 2>/dev/null || true
  done
  rm -rf "$logs_folder"
}
