#!/usr/bin/env bash
# Builds the project's images with its Dockerfiles, over stand-ins of their bases, and loads them into the clusters that are
# up, under the names in the manifests. It does neither again for the same sources.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/roots.sh"
REPOSITORY=$(cd "$LAB/../.." && pwd)
"$LAB/stand-ins.sh"
mkdir -p "$CACHE/app"
MAX_LAYERS=8 # GB; one build from nothing has 4

name_of() { if [ "$1" = watcher ]; then echo istiowatcher; else echo "$1"; fi; }
# The image that the manifests name for a program.
reference_of() { sed -n "s|^ *image: \(.*/$(name_of "$1"):.*\)|\1|p" "$REPOSITORY"/k8s/*.yaml | head -1; }

PROGRAMS="frontend worker watcher"
references=$(for program in $PROGRAMS; do reference_of "$program"; done)
sources() {
  cd "$REPOSITORY"
  find crates Cargo.toml Cargo.lock rust-toolchain.toml .dockerignore Dockerfile.* -type f \
    -not -path '*/target/*' -not -path '*/node_modules/*' -print0 | sort -z | xargs -0 sha256sum
}
# The images are those of these sources, names and stand-ins.
key=$(cat <(sources) <(echo "$references") <(cd "$CACHE" && ls stand-ins-*) "$LAB/app-images.sh" | sha256sum | cut -c1-16)

if [ "$(cat "$CACHE/app/key" 2>/dev/null)" != "$key" ]; then
  rm -f "$CACHE/app/key"
  # Layers of earlier builds make this one faster, and each build adds up to 3 GB of them.
  if [ "$(du -s --block-size=G "$CACHE/buildah" | cut -dG -f1)" -gt "$MAX_LAYERS" ]; then
    # A build leaves containers, whose layers are not pruned.
    build rm --all >/dev/null
    build rmi --prune >/dev/null
  fi
  for program in $PROGRAMS; do
    name=$(name_of "$program")
    reference=$(reference_of "$program")
    echo "lab: building $reference"
    # Buildah builds the layers that all three share once, and keeps them for the next run.
    build build --layers --isolation chroot --pull-never -f "$REPOSITORY/Dockerfile.$program" -t "$reference" "$REPOSITORY" \
      >"$CACHE/app/$name.log" 2>&1 || { tail -20 "$CACHE/app/$name.log" >&2; fail "Dockerfile.$program does not build"; }
    archive "$reference" "$CACHE/app/$name.tar"
  done
  echo "$key" >"$CACHE/app/key"
  du --apparent-size --block-size=KB "$CACHE"/app/*.tar | sed 's/^/lab: /'
fi

[ -d "$STATE" ] || echo "lab: no cluster is up: the images are built, and not loaded"
for cluster in $CLUSTERS; do
  [ -d "$STATE/$cluster" ] || continue
  [ "$(cat "$STATE/$cluster/app-images" 2>/dev/null)" != "$key" ] || continue
  for program in $PROGRAMS; do "$LAB/load.sh" "$cluster" "$CACHE/app/$(name_of "$program").tar"; done
  echo "$key" >"$STATE/$cluster/app-images"
done
