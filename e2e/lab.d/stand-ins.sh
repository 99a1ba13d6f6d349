#!/usr/bin/env bash
# Makes stand-ins of the Dockerfiles' base images, which cannot be pulled everywhere, from Debian's packages and this machine's
# compiler, Node and certificates. It does so once for each version of them.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/roots.sh"
REPOSITORY=$(cd "$LAB/../.." && pwd)

# named PATTERN: prints the base image in the Dockerfiles that matches.
named() { sed -nE "s|^FROM (--platform=[^ ]+ )?([^ ]*$1[^ ]*).*|\2|p" "$REPOSITORY/Dockerfile.worker"; }
rust=$(named /rust:) node=$(named /node:) distroless=$(named /distroless/)

key=$(echo "$rust $node $distroless" "$(node --version)" "$(npm --version)" | cat - "$LAB/stand-ins.sh" "$LAB/roots.sh" |
  sha256sum | cut -c1-16)
[ ! -e "$CACHE/stand-ins-$key" ] || exit 0
rm -f "$CACHE"/stand-ins-*

echo "lab: making stand-ins for $rust, $node and $distroless"
mkdir -p "$CACHE/roots"
root=$CACHE/roots/debian
rm -rf "$root"
debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev trixie "$root" >"$CACHE/debootstrap.log" 2>&1 ||
  { tail -3 "$CACHE/debootstrap.log" >&2; fail "debootstrap failed"; }
# This machine may trust a further certificate authority, for the way to the registries.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

small=$CACHE/roots/distroless
rm -rf "$small"
mkdir -p "$small/home/nonroot"
chroot "$root" sh -c \
  'cd /tmp && apt-get update -qq && apt-get download -qq -o APT::Sandbox::User=root base-files media-types netbase tzdata'
for package in "$root"/tmp/*.deb; do
  dpkg-deb -x "$package" "$small"
  rm "$package"
done
printf '%s\n' root:x:0:0::/root:/sbin/nologin nobody:x:65534:65534::/nonexistent:/sbin/nologin \
  nonroot:x:65532:65532::/home/nonroot:/sbin/nologin >"$small/etc/passwd"
mkdir -p "$small/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$small/etc/ssl/certs/"
image "$distroless" "$small" --user 65532 --workingdir /home/nonroot \
  --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt

# Here the toolchain may have another name, such as `stable`.
version=$(sed -nE 's|.*rust:([0-9.]+)-.*|\1|p' <<<"$rust")
toolchain=$version-$(uname -m)-unknown-linux-gnu
mkdir -p "$root/usr/local/rustup/toolchains" "$root/usr/local/cargo/bin"
cp -r "$(rustup run "$version" rustc --print sysroot)" "$root/usr/local/rustup/toolchains/$toolchain"
rm -rf "$root"/usr/local/rustup/toolchains/*/share
cp -L "$(command -v rustup)" "$root/usr/local/cargo/bin/rustup"
for program in cargo rustc; do ln -s rustup "$root/usr/local/cargo/bin/$program"; done
printf 'default_toolchain = "%s"\nprofile = "minimal"\nversion = "12"\n' "$toolchain" >"$root/usr/local/rustup/settings.toml"
# The settings of this machine for other registries, if it has any.
for settings in "${CARGO_HOME:-$HOME/.cargo}/config.toml:usr/local/cargo/config.toml" "$HOME/.npmrc:root/.npmrc"; do
  [ ! -e "${settings%:*}" ] || cp "${settings%:*}" "$root/${settings#*:}"
done
image "$rust" "$root" --env PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --env RUSTUP_HOME=/usr/local/rustup --env CARGO_HOME=/usr/local/cargo \
  --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt

root=$CACHE/roots/node
rm -rf "$root"
mkdir -p "$root/usr/local/bin" "$root/usr/local/lib/node_modules"
cp -L "$(node -p process.execPath)" "$root/usr/local/bin/node"
cp -rL "$(npm root --global)/npm" "$root/usr/local/lib/node_modules/npm"
image "$node" "$root"

rm -rf "$CACHE/roots"
touch "$CACHE/stand-ins-$key"
