#!/usr/bin/env bash
# Builds what is published only as Go modules, once for each version: `programs`, which are those of the lab, and `dashboard`,
# which checks Grafana's dashboards.
#
#   parts.sh build PART      builds a part
#   parts.sh folder PART     prints the folder of a part's programs
#   parts.sh is-built PART   fails unless it is built
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"

# Prometheus discovers only by Kubernetes: some modules of the other kinds of discovery cannot be fetched everywhere.
TAGS=remove_all_sd,enable_kubernetes_sd

# The programs run for minutes, so a short build is worth more than fast programs. The compiler inlines nothing, and compiles each
# package on one processor, because there are enough packages.
COMPILER_FLAGS="all=-l -c=1"

linker_flags() {
  local package
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf -- '-X %s.gitVersion=v%s -X %s.gitMajor=%s -X %s.gitMinor=%s ' "$package" "$KUBERNETES_VERSION" \
      "$package" "$(cut -d. -f1 <<<"$KUBERNETES_VERSION")" "$package" "$(cut -d. -f2 <<<"$KUBERNETES_VERSION")"
  done
  printf -- '-X istio.io/istio/pkg/version.buildVersion=%s ' "$ISTIO_VERSION"
  printf -- '-X github.com/prometheus/common/version.Version=%s -s -w' "$PROMETHEUS_VERSION"
}

# Prints the folder of a part's programs. Its name depends on everything that the build depends on.
folder_of() {
  local key
  [ -d "$LAB/go/$1" ] || fail "parts.sh: \"$1\" is not accepted; accepted: programs, dashboard"
  key=$(cat <(find "$LAB/go/$1" -type f -print0 | sort -z | xargs -0 cat) <(echo "$TAGS" "$COMPILER_FLAGS"; linker_flags) \
    <(cd "$LAB/go/$1" && go env GOVERSION GOARCH) | sha256sum | cut -c1-16)
  echo "$CACHE/parts/$1-$key"
}

is_built() { [ -e "$(folder_of "$1")/complete" ]; }

# in_module PART COMMAND [OPTION...]: runs go for all programs of a part.
in_module() {
  local part=$1 command=$2 packages=./...
  shift 2
  [ "$part" != programs ] || packages="tool ./..."
  # shellcheck disable=SC2086
  (cd "$LAB/go/$part" && CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=readonly" go "$command" -tags "$TAGS" "$@" $packages)
}

build() {
  local part=$1 folder memory
  ! is_built "$part" || return 0
  folder=$(folder_of "$part")
  echo "lab: building $part in e2e/lab.d/go, once: the programs of the lab take some 10 minutes on two processors"
  rm -rf "$CACHE/parts/$part"-*
  # What Go compiles on the way takes 5 GB, which nobody needs once the programs are built.
  export GOCACHE=$CACHE/go-build-$part
  # To collect no garbage below a limit saves a tenth of the time. There is a compiler for each processor, and other work.
  memory=$(awk -v share=$((4 * $(nproc))) '/MemAvailable/ { print int($2 / 1024 / share) }' /proc/meminfo)
  GOBIN="$folder" GOGC=off GOMEMLIMIT=$((memory < 2048 ? memory : 2048))MiB in_module "$part" install -gcflags "$COMPILER_FLAGS" -ldflags "$(linker_flags)"
  [ "$part" != programs ] || keep_charts "$folder"
  touch "$folder/complete"
  rm -rf "$GOCACHE"
}

# The module of Istio has the charts that istioctl installs, and the configuration that its proxies start with.
keep_charts() {
  local module
  module=$(cd "$LAB/go/programs" && go list -m -f '{{.Dir}}' istio.io/istio)
  cp -r "$module/manifests" "$module/tools/packaging/common/envoy_bootstrap.json" "$1/"
  chmod -R u+w "$1/manifests"
}

case "${1:-}" in
  build) build "$2" ;;
  folder) folder_of "$2" ;;
  is-built) is_built "$2" ;;
  *) fail "parts.sh: \"${1:-}\" is not accepted; accepted: build, folder, is-built" ;;
esac
