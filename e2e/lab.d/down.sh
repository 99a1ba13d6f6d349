#!/usr/bin/env bash
# Ends both machines, and with them all that is in them: processes, mounts, networks, routes. Then their cgroups and files.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/machines.sh"

is_empty() { ! grep -q . "$1/cgroup.procs" 2>/dev/null; }

for name in $CLUSTERS; do
  if process=$(first_process "$name"); then
    kill -KILL "$process"
    eventually 20 test ! -e "/proc/$process"
  fi
  # Deepest first; a group that still holds a process that is about to end cannot be removed at once.
  for group in $(cgroups_of "$name"); do
    [ -d "$group" ] || continue
    find "$group" -depth -type d | while read -r inner; do
      eventually 10 is_empty "$inner"
      rmdir "$inner"
    done
  done
  ip link delete "lab-$name" 2>/dev/null || true
done
# A fault of ours, rather than somebody's surprise a day later.
left=$(find /sys/fs/cgroup -type d -name 'istio-burst-lab-*' && grep -o "$STATE[^ ]*" /proc/self/mounts) || true
[ -z "$left" ] || fail "left behind: $left"
rm -rf "$STATE" "$RUN"
