#!/usr/bin/env bash
# Makes the kubeconfig of the user of the lab: the contexts primary and burst, as admin, from this machine.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
for cluster in $CLUSTERS; do
  pki=$STATE/$cluster/lib/pki
  kubectl config set-cluster "$cluster" --server "https://${OUTSIDE[$cluster]}:6443" \
    --certificate-authority "$pki/ca.crt" --embed-certs
  kubectl config set-credentials "$cluster" --client-certificate "$pki/admin.crt" --client-key "$pki/admin.key" --embed-certs
  kubectl config set-context "$cluster" --cluster "$cluster" --user "$cluster"
done >/dev/null
kubectl config use-context primary >/dev/null
