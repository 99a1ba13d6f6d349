#!/usr/bin/env bash
# machine-init.sh NAME FOLDER: the first process of a machine. It replaces the folders that a node writes to, and keeps the others.
set -euo pipefail
cd "$(dirname "$0")"
name=$1 folder=$2
export PATH="$PATH:/usr/sbin:/sbin"
. ./settings.sh
pause=$(./parts.sh folder programs)/pause

hostname "$name"
mount --make-rshared /

# The cgroup hierarchies of the host. The machine sees its own part of each.
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -t cgroup2 none /sys/fs/cgroup
  sed 's/[^ ]*/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
else
  hierarchies=$(findmnt -rn -t cgroup -o TARGET,FS-OPTIONS)
  mount -t tmpfs tmpfs /sys/fs/cgroup
  while read -r target options; do
    mkdir -p "$target"
    mount -t cgroup -o "${options#rw,}" cgroup "$target"
  done <<<"$hierarchies"
fi

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
mount --bind "$folder/log" /var/log
mount --bind "$folder/lib" /var/lib
mount -t proc proc /proc

# A kubelet sets these for the whole host. Here it finds them set, in files that only the machine sees.
while read -r file value; do
  echo "$value" >"/run/$(basename "$file")"
  mount --bind "/run/$(basename "$file")" "/proc/sys/$file"
done <<'SYSCTLS'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SYSCTLS

ip link set lo up
touch /var/lib/machine-is-up
exec "$pause"
