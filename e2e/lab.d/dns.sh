#!/usr/bin/env bash
# dns.sh CLUSTER: starts the cluster's DNS, and waits until it answers.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
sed "s|@SERVICES@|${SERVICES[$1]}|" "$LAB/dns.yaml" | kubectl --context "$1" apply -f - >/dev/null
kubectl --context "$1" -n kube-system rollout status deployment/coredns --timeout=60s >/dev/null
