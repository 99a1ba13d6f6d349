#!/usr/bin/env bash
# Prints everything that this machine lacks for the lab. Fails if it lacks anything.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"

lacks=0
lack() { echo "lab: this machine lacks $*" >&2; lacks=1; }

[ "$(uname -s)" = Linux ] || lack "Linux"
[ "$(id -u)" = 0 ] || lack "root, for namespaces, mounts and networks: you are $(id -un)"
[ "$(uname -m)" = x86_64 ] || lack "an x86_64 processor: the packaged Envoy and kubectl are for that"
command -v apt-get >/dev/null || lack "Debian's packages: there is no apt-get"
command -v go >/dev/null || lack "Go, $(sed -n 's/^go //p' "$LAB/go/programs/go.mod") or later"
command -v python3 >/dev/null || lack "python3, with pip"
command -v npm >/dev/null || lack "Node with npm"
command -v rustup >/dev/null || lack "rustup, whose toolchain builds the images"
unshare --mount --net --pid --uts --cgroup --fork true 2>/dev/null || lack "namespaces: unshare is refused"
grep -qw overlay /proc/filesystems || modprobe -q overlay || lack "the overlay file system"
if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ] && ! findmnt -rn -t cgroup >/dev/null; then
  lack "cgroups at /sys/fs/cgroup"
fi
if [ "$(id -u)" = 0 ]; then
  unshare --net sh -c 'ip link add name a type veth peer name b && ip link add name c type bridge' 2>/dev/null ||
    lack "veth and bridge networks in the kernel"
  ! command -v nft >/dev/null || unshare --net nft add table inet lab 2>/dev/null || lack "nftables in the kernel"
fi
# Nobody but a lab may use the addresses of the lab's network.
! ip route show root 10.77.0.0/16 2>/dev/null | grep -vqE ' dev lab2?-' || lack "free addresses: 10.77.0.0/16 has a route"
# Another e2e/lab that is at work uses them already.
[ ! -e "$CACHE/lock" ] || flock --nonblock "$CACHE/lock" true || exit $lacks
# A lab that is up has taken its part.
[ ! -e "$STATE/has-clusters" ] || exit $lacks
# The programs take most of it while they are built.
wanted=15
! { command -v go >/dev/null && "$LAB/parts.sh" is-built programs; } || wanted=8
free=$(df --output=avail -BG "$(dirname "$STATE")" | tail -1 | tr -dc 0-9)
[ "$free" -ge "$wanted" ] || lack "disk: $free GB are free under $(dirname "$STATE"), $wanted are wanted"
memory=$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
[ "$memory" -ge 5 ] || lack "memory: $memory GiB are available, 5 are wanted"
exit $lacks
