# Installs programs that are missing. To be sourced.
# shellcheck shell=bash

# need PROGRAM PACKAGE: installs the Debian package of a program, unless the program is there.
lists_are_new=""
need() {
  command -v "$1" >/dev/null && return
  if command -v apt-get >/dev/null; then
    local sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing $2"
    [ -n "$lists_are_new" ] || { $sudo apt-get update -qq && lists_are_new=yes; }
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -qq -y --no-install-recommends "$2" >/dev/null || true
  fi
  command -v "$1" >/dev/null || { echo "$(basename "$0"): $1 is missing, and cannot be installed here; Debian has it in $2" >&2; exit 1; }
}
