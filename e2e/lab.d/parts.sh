#!/usr/bin/env bash
# Builds the parts that only Go modules have: once for each version of them. `parts.sh path` prints where they are, for PATH.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
cd "$LAB/go"

# Smaller first, so that what can fail early does.
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

# The folder of a part's programs, named after all that its build depends on.
folder_of() {
  local key
  key=$(cat "$1"/* <(linker_flags "$1") <(go env GOVERSION GOARCH) | sha256sum | cut -c1-16)
  echo "$CACHE/parts/$1-$key"
}

build() {
  local part=$1 what=tool tags="" folder
  folder=$(folder_of "$part")
  [ ! -e "$folder/complete" ] || return 0
  echo "lab: building $part (once; all of it takes 15 to 25 minutes on two processors)"
  # Of service discovery, only Kubernetes: some of the others' modules cannot be had everywhere.
  [ "$part" != prometheus ] || tags=remove_all_sd,enable_kubernetes_sd
  if [ -f "$part/main.go" ]; then what=.; fi
  rm -rf "$CACHE/parts/$part"-*
  # Less collection of garbage: on two processors that is a third of the time.
  (cd "$part" && CGO_ENABLED=0 GOGC=400 GOFLAGS="-trimpath -buildvcs=false -mod=readonly" GOBIN="$folder" \
    go install -tags "$tags" -ldflags "$(linker_flags "$part")" "$what")
  [ "$part" != istio ] || keep_charts "$folder"
  touch "$folder/complete"
}

# What istioctl installs, and what its proxies begin with, is in the module beside the programs.
keep_charts() {
  local module
  module=$(cd istio && go list -m -f '{{.Dir}}' istio.io/istio)
  cp -r "$module/manifests" "$module/tools/packaging/common/envoy_bootstrap.json" "$1/"
  chmod -R u+w "$1/manifests"
}

case "${1:-}" in
  path) for part in $PARTS; do printf '%s:' "$(folder_of "$part")"; done ;;
  folder) folder_of "$2" ;;
  *) for part in $PARTS; do build "$part"; done ;;
esac
