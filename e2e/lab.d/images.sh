#!/usr/bin/env bash
# Makes the images that the lab itself runs, from the parts and packages, once for each version of them.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/roots.sh"
programs=$("$LAB/parts.sh" folder programs)

key=$(cat <(echo "$programs") "$LAB/images.sh" "$LAB/roots.sh" <(ls "$CACHE"/wheels/*.whl) <(redis-server --version) |
  sha256sum | cut -c1-16)
[ ! -e "$CACHE/images/$key" ] || exit 0
echo "lab: making the images of the clusters"
rm -rf "$CACHE/images"
mkdir -p "$CACHE/images"

# simple PROGRAM USER: makes the image of a program that needs nothing else.
simple() {
  local root
  root=$(new_root "$1")
  add_program "$root" "$programs/$1" "usr/bin/$1"
  image "lab.local/$1:1" "$root" --entrypoint "[\"/usr/bin/$1\"]" --user "$2"
  archive "lab.local/$1:1" "$CACHE/images/$1.tar"
}
simple pause 65534:65534
simple dns 65534:65534
simple prometheus 65534:65534

root=$(new_root pilot)
add_program "$root" "$programs/pilot-discovery" usr/local/bin/pilot-discovery
mkdir -p "$root/var/lib/istio/envoy"
image lab.local/pilot:1 "$root" --entrypoint '["/usr/local/bin/pilot-discovery"]' --user 1337:1337
archive lab.local/pilot:1 "$CACHE/images/pilot.tar"

# The sidecar: Istio's agent, upstream's Envoy, and iptables, which redirects a pod's traffic to Envoy.
root=$(new_root proxyv2)
add_program "$root" "$programs/pilot-agent" usr/local/bin/pilot-agent
add_program "$root" "$CACHE/wheels/bin/envoy" usr/local/bin/envoy
add_program "$root" /usr/sbin/xtables-nft-multi usr/sbin/xtables-nft-multi
add_program "$root" /usr/bin/dash usr/bin/sh
for family in iptables ip6tables; do
  for name in $family{,-save,-restore,-nft,-nft-save,-nft-restore}; do ln -s xtables-nft-multi "$root/usr/sbin/$name"; done
done
extensions=$(dirname "$(find /usr/lib -name libxt_conntrack.so | head -1)")
mkdir -p "$root/$extensions"
cp "$extensions"/*.so "$root/$extensions/"
mkdir -p "$root/var/lib/istio/envoy" "$root/etc/istio/proxy"
chmod 777 "$root/etc/istio/proxy"
cp "$programs/envoy_bootstrap.json" "$root/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"
image lab.local/proxyv2:1 "$root" --entrypoint '["/usr/local/bin/pilot-agent"]' --user 0 \
  --env PATH=/usr/local/bin:/usr/sbin:/usr/bin
archive lab.local/proxyv2:1 "$CACHE/images/proxyv2.tar"

# Debian's Redis, under the name in k8s/redis.yaml.
reference=$(sed -n 's/^ *image: //p' "$LAB/../../k8s/redis.yaml")
root=$(new_root redis)
add_program "$root" "$(readlink -f "$(command -v redis-server)")" usr/bin/redis-server
add_program "$root" "$(command -v redis-cli)" usr/bin/redis-cli
image "$reference" "$root" --entrypoint '["/usr/bin/redis-server"]' --env PATH=/usr/bin
archive "$reference" "$CACHE/images/redis.tar"

# The programs that the tests run inside a cluster.
root=$(new_root tools)
for program in dash:sh curl:curl redis-cli:redis-cli sleep:sleep; do
  add_program "$root" "$(command -v "${program%:*}")" "usr/bin/${program#*:}"
done
image lab.local/tools:1 "$root" --cmd '["/usr/bin/sleep", "infinity"]' --env PATH=/usr/bin --user 65534:65534
archive lab.local/tools:1 "$CACHE/images/tools.tar"

rm -rf "$CACHE/roots"
touch "$CACHE/images/$key"
