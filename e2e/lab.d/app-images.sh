#!/usr/bin/env bash
# Builds the project's images with its Dockerfiles as they are, over stand-ins of their bases, and puts them into both clusters under
# the names that the manifests use.
set -euo pipefail
LAB=$(cd "$(dirname "$0")" && pwd)
. "$LAB/settings.sh"
. "$LAB/roots.sh"
REPOSITORY=$(cd "$LAB/../.." && pwd)
"$LAB/stand-ins.sh"
mkdir -p "$CACHE/app"

for program in frontend worker watcher; do
  name=$program
  [ "$program" != watcher ] || name=istiowatcher
  reference=$(sed -n "s|^ *image: \(.*/$name:.*\)|\1|p" "$REPOSITORY"/k8s/*.yaml | head -1)
  echo "lab: building $reference"
  # Layers that are the same are built once for all three, and not again by the next run.
  build build --layers --isolation chroot --pull-never -f "$REPOSITORY/Dockerfile.$program" -t "$reference" "$REPOSITORY" \
    >"$CACHE/app/$name.log" 2>&1 || { tail -20 "$CACHE/app/$name.log" >&2; fail "Dockerfile.$program does not build"; }
  archive "$reference" "$CACHE/app/$name.tar"
  for cluster in $CLUSTERS; do
    [ ! -d "$STATE/$cluster" ] || "$LAB/load.sh" "$cluster" "$CACHE/app/$name.tar"
  done
done
ls -l --block-size=KB "$CACHE"/app/*.tar | awk '{ print "lab: " $5 "  " $NF }'
