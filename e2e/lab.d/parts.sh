#!/usr/bin/env bash
# Builds the parts that are published only as Go modules, once for each version. `parts.sh fetch` only fetches their modules.
# `parts.sh build PART` builds one of them, or dashboard, which checks Grafana's dashboards and is no part of the lab.
# `parts.sh path` prints their folders for PATH, and `parts.sh folder PART` one of them. `parts.sh is-built` fails unless all
# are built.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
cd "$LAB/go"

# What Go compiles on the way takes 8 GB, which nobody needs once all parts are built.
export GOCACHE=$CACHE/go-build

# The smaller ones first: a build that cannot work fails early.
PARTS="pause dns prometheus istio kubernetes"

linker_flags() {
  local package
  case "$1" in
    kubernetes)
      for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        printf -- '-X %s.gitVersion=v%s -X %s.gitMajor=%s -X %s.gitMinor=%s ' "$package" "$KUBERNETES_VERSION" \
          "$package" "$(cut -d. -f1 <<<"$KUBERNETES_VERSION")" "$package" "$(cut -d. -f2 <<<"$KUBERNETES_VERSION")"
      done ;;
    istio) printf -- '-X istio.io/istio/pkg/version.buildVersion=%s ' "$ISTIO_VERSION" ;;
    prometheus) printf -- '-X github.com/prometheus/common/version.Version=%s ' "$PROMETHEUS_VERSION" ;;
  esac
  printf -- '-s -w'
}

# Prints the folder of a part's programs. Its name depends on everything that the build depends on.
folder_of() {
  local key
  key=$(cat "$1"/* <(linker_flags "$1") <(go env GOVERSION GOARCH) | sha256sum | cut -c1-16)
  echo "$CACHE/parts/$1-$key"
}

is_built() { [ -e "$(folder_of "$1")/complete" ]; }

# in_module PART COMMAND [OPTION...]: runs go for the programs of a part.
in_module() {
  local part=$1 packages=tool tags="" command=$2
  shift 2
  # Prometheus discovers only by Kubernetes: some modules of the other kinds of discovery cannot be fetched everywhere.
  [ "$part" != prometheus ] || tags=remove_all_sd,enable_kubernetes_sd
  if [ -f "$part/main.go" ]; then packages=.; fi
  # With less collection of garbage a build takes two thirds of the time on two processors.
  (cd "$part" && CGO_ENABLED=0 GOGC=400 GOFLAGS="-trimpath -buildvcs=false -mod=readonly" go "$command" -tags "$tags" "$@" "$packages")
}

fetch() { is_built "$1" || in_module "$1" list -deps >/dev/null; }

build() {
  local part=$1 folder
  ! is_built "$part" || return 0
  folder=$(folder_of "$part")
  echo "lab: building $part (once; all parts of the lab take 15 to 25 minutes on two processors)"
  rm -rf "$CACHE/parts/$part"-*
  GOBIN="$folder" in_module "$part" install -ldflags "$(linker_flags "$part")"
  [ "$part" != istio ] || keep_charts "$folder"
  touch "$folder/complete"
}

# The module of Istio has the charts that istioctl installs, and the configuration that its proxies start with.
keep_charts() {
  local module
  module=$(cd istio && go list -m -f '{{.Dir}}' istio.io/istio)
  cp -r "$module/manifests" "$module/tools/packaging/common/envoy_bootstrap.json" "$1/"
  chmod -R u+w "$1/manifests"
}

case "${1:-}" in
  path) for part in $PARTS; do printf '%s:' "$(folder_of "$part")"; done ;;
  folder) folder_of "$2" ;;
  is-built) for part in $PARTS; do is_built "$part" || exit 1; done ;;
  build) build "$2" ;;
  fetch) for part in $PARTS; do fetch "$part"; done ;;
  *)
    for part in $PARTS; do build "$part"; done
    rm -rf "$GOCACHE" ;;
esac
