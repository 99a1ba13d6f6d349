#!/usr/bin/env bash
# Installs Istio on primary, joins burst to it, injects sidecars in both, installs Prometheus, and waits until all of it works.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
manifests=$1
primary() { kubectl --context primary "$@"; }
burst() { kubectl --context burst "$@"; }
install() {
  istioctl install --context "$1" -f "$LAB/mesh/$1.yaml" -d "$manifests" -y --readiness-timeout 120s
}

install primary
primary apply -f "$LAB/mesh/istiod-outside.yaml" -f "$LAB/mesh/prometheus.yaml"
# A cloud's load balancer would write its address here.
primary -n istio-system patch service istio-ingressgateway --subresource=status --type=merge \
  -p "{\"status\": {\"loadBalancer\": {\"ingress\": [{\"ip\": \"${OUTSIDE[primary]}\"}]}}}"

burst create namespace istio-system
burst annotate namespace istio-system topology.istio.io/controlPlaneClusters=primary
install burst
istioctl create-remote-secret --context burst --name burst --server "https://${NODE[burst]}:6443" -d "$manifests" |
  primary apply -f -
# istiod gives burst its certificate authority. Without it no pod there gets a sidecar.
has_authority() {
  [ -n "$(burst get mutatingwebhookconfiguration istio-sidecar-injector -o 'jsonpath={.webhooks[0].clientConfig.caBundle}')" ] &&
    burst -n default get configmap istio-ca-root-cert
}
eventually 60 has_authority
for cluster in $CLUSTERS; do
  kubectl --context "$cluster" label namespace default istio-injection=enabled --overwrite
done
primary -n istio-system rollout status deployment/prometheus --timeout=60s
