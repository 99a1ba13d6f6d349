# The part of scripts/e2e that brings labs up, and runs tests on them. To be sourced there: it has `refuse` and `run_tests`.
# shellcheck shell=bash

# The tests on clusters, from easy to cruel: on no lab, on clusters without a mesh, on clusters with a mesh. There the first two
# lists take about as long, and run at the same time on two labs; the last then loads the machine.
ON_NO_LAB=(lab)
ON_CLUSTERS=(without-mesh codelab)
ON_MESH=(codelab manifests permissions story callers http-route spill restarts)
ON_SECOND_MESH=(controller burst-unreachable primary-failing burst-failing dependency-outages)
ALONE_ON_MESH=(starved)

for file in e2e/clusters/*.test.mjs; do
  name=$(basename "$file" .test.mjs)
  [[ " ${ON_NO_LAB[*]} ${ON_CLUSTERS[*]} ${ON_MESH[*]} ${ON_SECOND_MESH[*]} ${ALONE_ON_MESH[*]} " == *" $name "* ]] ||
    refuse "$file is in no list of e2e/on-clusters.sh, so nothing would run it"
done

export LAB_NUMBER=${LAB_NUMBER:-1}
case "$LAB_NUMBER" in
  1) SECOND_LAB=2 ;;
  2) SECOND_LAB=1 ;;
  *) refuse "LAB_NUMBER: \"$LAB_NUMBER\" is not accepted; accepted: 1, 2" ;;
esac

output=e2e/out
lab_build="" second_lane="" is_our_lab=""

# Ends what this run has begun. A lab that does not end says so, and does not keep the other one up.
end_labs() {
  [ -z "$lab_build" ] || kill -- "-$lab_build" 2>/dev/null || true
  if [ -n "$second_lane" ]; then
    kill -- "-$second_lane" 2>/dev/null || true
    LAB_NUMBER=$SECOND_LAB e2e/lab down || true
  fi
  [ -z "$is_our_lab" ] || e2e/lab down || true
}

is_up() { e2e/lab status >/dev/null 2>&1; }
# Fails if any lab is up.
needs_no_lab() {
  if is_up || LAB_NUMBER=$SECOND_LAB is_up; then
    echo "e2e: $* needs that no lab is up, and somebody may be using this one; e2e/lab down ends it" >&2
    exit 1
  fi
}
has_mesh() { e2e/lab env 2>/dev/null | grep -q GATEWAY; }
# Each lab needs 5 GiB, and the tests on each measure times.
has_room_for_two() {
  local memory
  memory=$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
  [ "$(nproc)" -ge 2 ] && [ "$memory" -ge 10 ] && ! LAB_NUMBER=$SECOND_LAB is_up
}

# The lab's parts and the project's images are built while the tests on processes wait for something. The build gets a
# processor only when nothing else wants it.
begin_lab_build() {
  set -m
  chrt --idle 0 e2e/lab build images >"$output/lab-build.log" 2>&1 </dev/null &
  lab_build=$!
  set +m
}
end_lab_build() {
  [ -n "$lab_build" ] || return 0
  echo "e2e: $SECONDS s: waiting for the lab's parts and images"
  local status=0
  wait "$lab_build" || status=$?
  lab_build=""
  cat "$output/lab-build.log"
  [ "$status" = 0 ] || { echo "e2e: the lab does not build" >&2; exit 1; }
}

# Brings the lab up as far as the next tests need it: `clusters`, or everything.
bring_up() {
  is_up || is_our_lab=yes
  e2e/lab up "$@"
  e2e/lab images
  unset GATEWAY
  eval "$(e2e/lab env)"
}

# is_time_for WHAT: whether there is time left to begin something on clusters.
is_time_for() {
  [ "$(date +%s)" -gt "${E2E_BEGIN_UNTIL:-9999999999}" ] || return 0
  echo "e2e: NOT RUN, there is no time left: $*"
  return 1
}
# run_on_clusters NAME...: a test that fails does not keep the others from running.
run_on_clusters() {
  local name
  for name in "$@"; do
    is_time_for "$name" || continue
    echo "e2e: $SECONDS s: $name"
    run_tests 1 "e2e/clusters/$name.test.mjs" || echo "$name" >>"$output/failed"
  done
}

# run_lane NAME...: brings a lab up, and runs tests on it. What each file prints is printed when it ends.
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
end_second_lane() {
  [ -n "$second_lane" ] || return 0
  wait "$second_lane" || { tail -20 "$output/second-lab.log"; echo "the second lab" >>"$output/failed"; }
  LAB_NUMBER=$SECOND_LAB e2e/lab down || echo "the end of the second lab" >>"$output/failed"
  second_lane=""
}

# run_cluster_tests FILE...
run_cluster_tests() {
  local files=" $* " no_lab without_mesh with_mesh second alone
  # selected NAME...: those whose files are to run.
  selected() {
    local name
    for name in "$@"; do [[ "$files" != *" e2e/clusters/$name.test.mjs "* ]] || echo "$name"; done
  }
  mapfile -t no_lab < <(selected "${ON_NO_LAB[@]}")
  mapfile -t without_mesh < <(selected "${ON_CLUSTERS[@]}")
  mapfile -t with_mesh < <(selected "${ON_MESH[@]}")
  mapfile -t second < <(selected "${ON_SECOND_MESH[@]}")
  mapfile -t alone < <(selected "${ALONE_ON_MESH[@]}")

  is_time_for "the tests on clusters" || return 0
  end_lab_build
  if [ ${#no_lab[@]} -gt 0 ]; then
    needs_no_lab "${no_lab[*]}"
    is_our_lab=yes
    e2e/lab build
    run_on_clusters "${no_lab[@]}"
  fi
  if is_time_for "the other tests on clusters"; then run_on_labs; fi
  [ ! -e "$output/failed" ] || { echo "e2e: on the clusters failed: $(xargs <"$output/failed")" >&2; exit 1; }
}

# Runs what `run_cluster_tests` has selected and needs a lab.
run_on_labs() {
  if is_up || [ ${#with_mesh[@]} = 0 ] || ! has_room_for_two; then
    with_mesh+=("${second[@]}")
  elif [ ${#second[@]} -gt 0 ]; then
    begin_second_lane "${second[@]}"
  fi
  if is_up && has_mesh; then
    [[ " ${without_mesh[*]} " != *" without-mesh "* ]] ||
      { echo "e2e: without-mesh needs a lab without a mesh; e2e/lab down ends the one that is up" >&2; exit 1; }
    [ ${#without_mesh[@]} = 0 ] || echo "e2e: NOT RUN on a lab with a mesh: the part of the codelab before the mesh"
  elif [ ${#without_mesh[@]} -gt 0 ]; then
    bring_up clusters
    run_on_clusters "${without_mesh[@]}"
  fi
  if [ $((${#with_mesh[@]} + ${#alone[@]})) -gt 0 ]; then
    bring_up
    run_on_clusters "${with_mesh[@]}"
  fi
  end_second_lane
  run_on_clusters "${alone[@]}"
}
