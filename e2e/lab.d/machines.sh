# Starts and finds machines. A machine is a set of namespaces (processes, mounts, network, cgroups, host name). When its first
# process ends, everything in it ends. To be sourced after settings.sh.
# shellcheck shell=bash

# Prints the cgroups of a machine: one in each hierarchy of version 1, or the one of version 2.
cgroups_of() {
  local target
  if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    echo "/sys/fs/cgroup/$LAB_NAME-$1"
  else
    for target in $(findmnt -rn -t cgroup -o TARGET); do echo "$target/$LAB_NAME-$1"; done
  fi
}

make_cgroups() {
  local group
  for group in $(cgroups_of "$1"); do
    mkdir -p "$group"
    # Version 1: a new cpuset has neither processors nor memory, so nothing can enter it.
    if [ -e "$group/cpuset.cpus" ] && [ ! -e "$group/cgroup.controllers" ]; then
      cat "$group/../cpuset.cpus" >"$group/cpuset.cpus"
      cat "$group/../cpuset.mems" >"$group/cpuset.mems"
    fi
    # Version 2: only leaves may have processes.
    [ ! -e "$group/cgroup.controllers" ] || mkdir -p "$group/init"
  done
}

# Moves this shell into a machine's cgroups.
enter_cgroups() {
  local group
  for group in $(cgroups_of "$1"); do
    if [ -d "$group/init" ]; then group=$group/init; fi
    echo "$BASHPID" >"$group/cgroup.procs"
  done
}

# Prints the id, on the host, of a machine's first process. Fails if there is none.
first_process() {
  local outer
  outer=$(cat "$RUN/$1.pid" 2>/dev/null) || return 1
  # The system uses ids again, so the command line must be that of the machine.
  tr '\0' ' ' <"/proc/$outer/cmdline" 2>/dev/null | grep -q "machine-init.sh $1 " || return 1
  pgrep -P "$outer"
}

start_machine() {
  local name=$1
  mkdir -p "$RUN" "$STATE/$name/lib" "$STATE/$name/log"
  make_cgroups "$name"
  (
    exec 9>&- # the lock is not the machine's
    enter_cgroups "$name"
    exec setsid unshare --fork --kill-child --pid --mount --net --uts --cgroup \
      "$LAB/machine-init.sh" "$name" "$STATE/$name"
  ) >"$STATE/$name/log/machine.log" 2>&1 </dev/null &
  echo $! >"$RUN/$name.pid"
  eventually 10 test -e "$STATE/$name/lib/machine-is-up"
}

# Runs a command in a machine.
in_machine() {
  local name=$1
  shift
  (
    enter_cgroups "$name"
    exec nsenter --target "$(first_process "$name")" --mount --uts --net --pid --cgroup -- "$@"
  )
}

# Starts a command in a machine in the background. Its output is in the machine's log folder.
start_in_machine() {
  local name=$1 daemon=$2
  shift 2
  in_machine "$name" setsid "$@" >"$STATE/$name/log/$daemon.log" 2>&1 </dev/null 9>&- &
}
