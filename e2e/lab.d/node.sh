#!/usr/bin/env bash
# node.sh CLUSTER: starts containerd with the lab's images, kubelet and kube-proxy, and waits until the node is Ready.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/machines.sh"
cluster=$1
folder=$STATE/$cluster/lib/node
mkdir -p "$folder/cni"

# The files in node/ are templates. These are the values that differ between the clusters.
for file in containerd.toml kubelet.yaml kube-proxy.yaml cni/10-bridge.conflist resolv.conf; do
  sed -e "s|@CLUSTER@|$cluster|g" -e "s|@NODE@|${NODE[$cluster]}|g" -e "s|@PODS@|${PODS[$cluster]}|g" \
    -e "s|@SERVICES@|${SERVICES[$cluster]}|g" -e "s|@PACKAGES@|$CACHE/packages|g" "$LAB/node/$file" >"$folder/$file"
done
if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then echo "failCgroupV1: false" >>"$folder/kubelet.yaml"; fi

start_in_machine "$cluster" containerd containerd --config /var/lib/node/containerd.toml
eventually 20 in_machine "$cluster" ctr version
"$LAB/load.sh" "$cluster" "$CACHE"/images/*.tar

start_in_machine "$cluster" kubelet kubelet --config /var/lib/node/kubelet.yaml \
  --kubeconfig /var/lib/pki/kubelet.kubeconfig --hostname-override "$cluster" --node-ip "${NODE[$cluster]}"
start_in_machine "$cluster" kube-proxy kube-proxy --config /var/lib/node/kube-proxy.yaml
eventually 60 kubectl --context "$cluster" wait --for=condition=Ready "node/$cluster" --timeout=1s
