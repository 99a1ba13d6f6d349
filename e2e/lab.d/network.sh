#!/usr/bin/env bash
# Connects the two machines with each other, and each with the host.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/machines.sh"

primary=$(first_process primary)
burst=$(first_process burst)
nsenter --target "$primary" --net ip link add name eth1 type veth peer name eth1 netns "$burst"
for name in $CLUSTERS; do
  process=$(first_process "$name")
  ip link add name "$LINK-$name" type veth peer name eth0 netns "$process"
  ip addr add "${HERE[$name]}/24" dev "$LINK-$name"
  ip link set "$LINK-$name" up
  inside() { nsenter --target "$process" --net "$@"; }
  inside ip addr add "${OUTSIDE[$name]}/24" dev eth0
  inside ip addr add "${NODE[$name]}/24" dev eth1
  inside ip link set eth0 up
  inside ip link set eth1 up
  inside sysctl -qw net.ipv4.ip_forward=1
  # Any route will do: kube-proxy redirects the packets, but only if there is one.
  inside ip route add "${SERVICES[$name]}.0.0/16" dev eth1
done
nsenter --target "$primary" --net ip route add "${PODS[burst]}.0/24" via "${NODE[burst]}"
nsenter --target "$burst" --net ip route add "${PODS[primary]}.0/24" via "${NODE[primary]}"
