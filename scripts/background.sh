# Jobs in the background, by name: sourced after lib.sh. Whoever sources this calls end_background when it exits.
# shellcheck shell=bash

# What runs in the background, by name: its process group and its output.
declare -A groups=() logs=()
logs_folder=$(mktemp -d)

# background NAME CMD...: starts CMD at the lowest priority; `collect` waits for it.
background() {
  local name=$1
  shift
  logs[$name]=$logs_folder/$name
  # A session of its own can be ended as a whole. Where the kernel groups tasks by session (autogroup), the session has
  # a priority of its own, too.
  # shellcheck disable=SC2016 # for the inner shell
  setsid bash -c '{ echo 19 >/proc/self/autogroup; } 2>/dev/null; exec nice -n 19 ionice -c 3 "$@"' "$name" "$@" \
    >"${logs[$name]}" 2>&1 </dev/null &
  groups[$name]=$!
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
