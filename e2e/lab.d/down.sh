#!/usr/bin/env bash
# Ends both machines with everything in them: processes, mounts, networks, routes. Then it removes their cgroups and files.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/machines.sh"

# Kills the processes in a cgroup and its children, and fails while there are any.
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
    # nsenter stops together with a program that it started and that is stopped, and then does not see it end.
    pkill -KILL -f "^nsenter --target $process " || true
    eventually 60 test ! -e "/proc/$process"
  fi
  # An `up` that was killed may have recorded no process, but the cgroups have what it started.
  for group in $(cgroups_of "$name"); do
    [ -d "$group" ] || continue
    eventually 60 is_empty "$group"
    find "$group" -depth -type d -exec rmdir {} \;
  done
  ip link delete "$LINK-$name" 2>/dev/null || true
done
# Says what is left now, before it surprises somebody later.
left=$(find /sys/fs/cgroup -type d -name "$LAB_NAME-*" 2>/dev/null; grep -o "$STATE/[^ ]*" /proc/self/mounts) || true
[ -z "$left" ] || fail "left behind: $left"
# Not all of $RUN: another e2e/lab may be building images, and buildah keeps its state there.
rm -rf "$STATE" "$RUN"/*.pid
