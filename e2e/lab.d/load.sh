#!/usr/bin/env bash
# load.sh CLUSTER ARCHIVE...: imports images (docker archives) into the cluster's containerd.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/machines.sh"
cluster=$1
shift
for archive in "$@"; do
  in_machine "$cluster" ctr --namespace k8s.io images import - <"$archive" >/dev/null
done
