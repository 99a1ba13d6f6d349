#!/usr/bin/env bash
# Ends both machines, and with them all that is in them: processes, mounts, networks, routes. Then their cgroups and files.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/machines.sh"

# Ends whatever is left in a group and those in it; fails while there is something.
is_empty() {
  local left
  left=$(find "$1" -name cgroup.procs -exec cat {} +)
  [ -n "$left" ] || return 0
  # shellcheck disable=SC2086
  kill -KILL $left 2>/dev/null || true
  return 1
}

for name in $CLUSTERS; do
  if process=$(first_process "$name"); then
    kill -KILL "$process"
    # What started a program in the machine stops when that is stopped, and then does not see it end.
    pkill -KILL -f "^nsenter --target $process " || true
    eventually 60 test ! -e "/proc/$process"
  fi
  # An up that was killed may have noted no process; what it had started is in the machine's groups.
  for group in $(cgroups_of "$name"); do
    [ -d "$group" ] || continue
    eventually 60 is_empty "$group"
    find "$group" -depth -type d -exec rmdir {} \;
  done
  ip link delete "lab-$name" 2>/dev/null || true
done
# A fault of ours, rather than somebody's surprise a day later.
left=$(find /sys/fs/cgroup -type d -name 'istio-burst-lab-*' && grep -o "$STATE[^ ]*" /proc/self/mounts) || true
[ -z "$left" ] || fail "left behind: $left"
rm -rf "$STATE" "$RUN"
