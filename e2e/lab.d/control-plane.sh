#!/usr/bin/env bash
# control-plane.sh CLUSTER: starts etcd, API server, controller manager and scheduler, and waits for the API server.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/machines.sh"
cluster=$1
pki=/var/lib/pki

# etcd need not wait for the disk: `down` deletes its data.
start_in_machine "$cluster" etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync

start_in_machine "$cluster" apiserver kube-apiserver \
  --etcd-servers=http://127.0.0.1:2379 \
  --bind-address=0.0.0.0 --advertise-address="${NODE[$cluster]}" --secure-port=6443 \
  --service-cluster-ip-range="${SERVICES[$cluster]}.0.0/16" \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
  --client-ca-file=$pki/ca.crt --tls-cert-file=$pki/apiserver.crt --tls-private-key-file=$pki/apiserver.key \
  --kubelet-certificate-authority=$pki/ca.crt --kubelet-preferred-address-types=InternalIP \
  --kubelet-client-certificate=$pki/apiserver-to-kubelet.crt --kubelet-client-key=$pki/apiserver-to-kubelet.key \
  --service-account-issuer=https://kubernetes.default.svc --api-audiences=https://kubernetes.default.svc,istio-ca \
  --service-account-key-file=$pki/service-accounts.key --service-account-signing-key-file=$pki/service-accounts.key \
  --endpoint-reconciler-type=lease --profiling=false

eventually 90 kubectl --context "$cluster" get --raw /readyz

start_in_machine "$cluster" controller-manager kube-controller-manager \
  --kubeconfig=$pki/controller-manager.kubeconfig --use-service-account-credentials=true \
  --service-account-private-key-file=$pki/service-accounts.key --root-ca-file=$pki/ca.crt \
  --cluster-signing-cert-file=$pki/ca.crt --cluster-signing-key-file=$pki/ca.key \
  --leader-elect=false --secure-port=0

start_in_machine "$cluster" scheduler kube-scheduler \
  --kubeconfig=$pki/scheduler.kubeconfig --leader-elect=false --secure-port=0
