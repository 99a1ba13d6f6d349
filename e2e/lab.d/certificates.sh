#!/usr/bin/env bash
# certificates.sh CLUSTER: makes the cluster's certificate authority, its keys and certificates, and the kubeconfigs of its parts.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
cluster=$1
mkdir -p "$STATE/$cluster/lib/pki"
cd "$STATE/$cluster/lib/pki"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

key ca
openssl req -x509 -new -key ca.key -days 30 -subj "/CN=$cluster-ca" -out ca.crt \
  -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
openssl genrsa -out service-accounts.key 2048 2>/dev/null

# certificate NAME SUBJECT [ALTERNATIVE NAMES]
certificate() {
  key "$1"
  {
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=serverAuth,clientAuth"
    [ -z "${3:-}" ] || echo "subjectAltName=$3"
  } >"$1.ext"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

# kubeconfig NAME: makes the kubeconfig of the owner of that certificate, for use inside the machine.
kubeconfig() {
  local file=$1.kubeconfig
  kubectl --kubeconfig "$file" config set-cluster "$cluster" --server "https://${NODE[$cluster]}:6443" \
    --certificate-authority ca.crt --embed-certs
  kubectl --kubeconfig "$file" config set-credentials "$1" --client-certificate "$1.crt" --client-key "$1.key" --embed-certs
  kubectl --kubeconfig "$file" config set-context "$cluster" --cluster "$cluster" --user "$1"
  kubectl --kubeconfig "$file" config use-context "$cluster"
} >/dev/null

names=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost
addresses=IP:127.0.0.1,IP:${NODE[$cluster]},IP:${OUTSIDE[$cluster]},IP:${SERVICES[$cluster]}.0.1
certificate apiserver /CN=kube-apiserver "$names,$addresses"
certificate apiserver-to-kubelet /O=system:masters/CN=kube-apiserver
certificate admin /O=system:masters/CN=admin
certificate controller-manager /CN=system:kube-controller-manager
certificate scheduler /CN=system:kube-scheduler
certificate proxy /CN=system:kube-proxy
certificate kubelet "/O=system:nodes/CN=system:node:$cluster" "DNS:$cluster,IP:${NODE[$cluster]}"
for who in admin controller-manager scheduler proxy kubelet; do kubeconfig "$who"; done
