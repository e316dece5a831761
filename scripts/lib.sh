# What the scripts here share. They are sourced or started from the top of the checkout.
# shellcheck shell=bash

set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# Fails with one line that says what is wrong and one that says what to do.
fail() {
  printf '%s: %s\n%s\n' "${0##*/}" "$1" "$2" >&2
  exit 1
}

# Runs a command whose output matters only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  [ "$status" = 0 ] || cat "$log" >&2
  rm -f "$log"
  return "$status"
}

# Can this user install Debian packages?
can_apt() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

# Installs Debian packages; the lists are fetched only when they are missing or too old.
apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  local install=(apt-get install -y -qq --no-install-recommends "$@")
  printf 'installing %s\n' "$*" >&2
  "${install[@]}" >/dev/null 2>&1 || { quietly apt-get update -qq && quietly "${install[@]}"; }
}
