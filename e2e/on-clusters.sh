# The part of scripts/e2e that brings labs up, and runs tests on them. To be sourced there.
# shellcheck shell=bash

# is_time_for WHAT: whether there is time left to begin something on clusters.
is_time_for() {
  [ "$(date +%s)" -gt "${E2E_BEGIN_UNTIL:-9999999999}" ] || return 0
  echo "e2e: NOT RUN, there is no time left: $*"
  return 1
}
# Brings the lab up as far as the next tests need it: `clusters`, or everything.
bring_up() {
  is_up || is_our_lab=yes
  e2e/lab up "$@"
  e2e/lab images
  unset GATEWAY
  eval "$(e2e/lab env)"
}
# A test that fails does not keep the others from running.
run_on_clusters() {
  local name
  for name in "$@"; do
    is_time_for "$name" || continue
    echo "e2e: $SECONDS s: $name"
    run_tests 1 "e2e/clusters/$name.test.mjs" || echo "$name" >>"$output/failed"
  done
}

# Two labs need twice the memory, and the tests on each measure times.
has_room_for_two() {
  [ "$(nproc)" -ge 2 ] && [ "$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -ge 10 ] && ! LAB_NUMBER=$SECOND_LAB is_up
}

# Brings a lab up, and runs tests on it. What each file prints is printed when it ends.
run_lane() {
  local name
  bring_up >"$output/second-lab.log" 2>&1
  for name in "$@"; do
    run_on_clusters "$name" >"$output/$name.log" 2>&1
    cat "$output/$name.log"
  done
}
begin_second_lane() {
  echo "e2e: at the same time, on a second lab: $*"
  set -m
  LAB_NUMBER=$SECOND_LAB run_lane "$@" </dev/null &
  second_lane=$!
  set +m
}

is_time_for "the tests on clusters" || exit 0
end_lab_build
for name in $(selected "${ON_NO_LAB[@]}"); do
  ! is_up || { echo "e2e: $name needs that no lab is up; e2e/lab down ends the one that is" >&2; exit 1; }
  is_our_lab=yes
  e2e/lab build
  run_on_clusters "$name"
done
is_time_for "the tests on clusters" || exit 0
without_mesh=$(selected "${ON_CLUSTERS[@]}")
with_mesh=$(selected "${ON_MESH[@]}")
on_second_mesh=$(selected "${ON_SECOND_MESH[@]}")
alone_on_mesh=$(selected "${ALONE_ON_MESH[@]}")
if is_up || [ -z "$with_mesh" ] || ! has_room_for_two; then
  with_mesh+=" $on_second_mesh"
elif [ -n "$on_second_mesh" ]; then
  # shellcheck disable=SC2086
  begin_second_lane $on_second_mesh
fi
if is_up && has_mesh; then
  ! is_selected without-mesh ||
    { echo "e2e: without-mesh needs a lab without a mesh; e2e/lab down ends the one that is up" >&2; exit 1; }
  [ -z "$without_mesh" ] || echo "e2e: NOT RUN on a lab with a mesh: the part of the codelab before the mesh"
elif [ -n "$without_mesh" ]; then
  bring_up clusters
  # shellcheck disable=SC2086
  run_on_clusters $without_mesh
fi
if [ -n "${with_mesh// /}$alone_on_mesh" ]; then
  bring_up
  # shellcheck disable=SC2086
  run_on_clusters $with_mesh
fi
[ -z "$second_lane" ] || wait "$second_lane" ||
  { tail -20 "$output/second-lab.log"; echo "the second lab" >>"$output/failed"; }
# shellcheck disable=SC2086
run_on_clusters $alone_on_mesh
[ ! -e "$output/failed" ] || { echo "e2e: on the clusters failed: $(xargs <"$output/failed")" >&2; exit 1; }
