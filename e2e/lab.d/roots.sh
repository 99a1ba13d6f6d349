# Makes root folders of images from programs of this machine and their libraries. To be sourced.
# shellcheck shell=bash

# Makes an empty root with the usual folders and users, and prints where it is.
new_root() {
  local root=$CACHE/roots/$1
  rm -rf "$root"
  mkdir -p "$root"/{data,etc,lib64,root,run,tmp,usr/{bin,lib,local/bin,sbin},var/{lib,tmp}}
  chmod 1777 "$root/tmp" "$root/var/tmp"
  ln -s usr/bin usr/sbin usr/lib "$root/"
  ln -s ../run "$root/var/run"
  printf '%s\n' root:x:0:0::/root:/bin/sh redis:x:999:1000::/data:/bin/false istio-proxy:x:1337:1337::/:/bin/false \
    nobody:x:65534:65534::/:/bin/false >"$root/etc/passwd"
  printf '%s\n' root:x:0: redis:x:1000: istio-proxy:x:1337: nogroup:x:65534: >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  echo "$root"
}

# add_program ROOT PROGRAM PLACE: copies a program and its shared libraries into a root.
add_program() {
  local root=$1 program=$2 place=$3 library
  cp -L "$program" "$root/$place"
  { ldd "$program" 2>/dev/null || true; } | sed -nE 's|^[^/]*(/[^ ]+) .*|\1|p' | while read -r library; do
    mkdir -p "$root/$(dirname "$library")"
    [ -e "$root/$library" ] || cp -L "$library" "$root/$library"
  done
}

# Runs buildah with the lab's own storage.
build() {
  local command=$1
  shift
  case "$command" in build | commit | from | push) set -- --signature-policy "$LAB/policy.json" "$@" ;; esac
  buildah --root "$CACHE/buildah" --runroot "$RUN/buildah" "$command" "$@"
}

# Buildah does not unmount its storage.
unmount_storage() {
  cut -d' ' -f2 /proc/self/mounts | sed -n "\|^$CACHE/buildah|p" | sort -r | while read -r mounted; do umount "$mounted"; done
}
trap unmount_storage EXIT

# image REFERENCE ROOT [buildah config options]: makes an image of one layer.
image() {
  local reference=$1 root=$2 container
  shift 2
  container=$(build from scratch)
  build add -q "$container" "$root" / >/dev/null
  [ $# = 0 ] || build config "$@" "$container"
  build commit -q "$container" "$reference" >/dev/null
  build rm "$container" >/dev/null
}

# archive REFERENCE FILE: writes an image as an archive for `ctr images import`.
archive() {
  rm -f "$2"
  build push -q "$1" "docker-archive:$2:$1" >/dev/null
}
