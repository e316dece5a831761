#!/usr/bin/env bash
# engine.sh: makes sure that a Docker Engine runs here and has the images that the tests of docks
# start, and says in .cache/images which ones those are. It needs root on Debian; elsewhere it says
# that those tests are skipped. The engine stays, and with it the images, for the next run.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

PATH=$PATH:/usr/sbin:/sbin # where dockerd and debootstrap are, and not everybody looks
# Not the one that this shell happens to be docked to
unset DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH
export DOCKER_HOST=unix:///var/run/docker.sock DOCKER_BUILDKIT=0
label=org.shellenv.tests
log=/var/log/docker.log # where Debian's own init script has it
names=.cache/images

answers() {
  docker version >/dev/null 2>&1
}

start_engine() {
  if [ -d /run/systemd/system ]; then
    quietly systemctl start docker
    return
  fi
  # With nothing of the caller's: no terminal, pipe, lock, directory or variable
  printf 'starting dockerd\n' >&2
  (cd / && exec env -i PATH="$PATH" setsid -f dockerd {lock}>&- </dev/null >>"$log" 2>&1)
}

wait_for_engine() {
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    answers && return
    sleep 0.1
  done
  tail -n 20 "$log" >&2 || true
  fail 'dockerd does not answer' "Its log is $log."
}

# A small Debian of this machine's own release, with a Python, which trusts what this machine trusts.
make_base() {
  local packages=python3,python3-venv,python3-pip,ca-certificates root status=0
  root=$(mktemp -d)
  quietly debootstrap --variant=minbase --include="$packages" "$release" "$root" ${mirror:+"$mirror"} &&
    rm -rf "$root"/usr/share/{doc,locale,man} "$root"/var/{cache/apt,lib/apt/lists}/* &&
    cp "$authorities" "$root$authorities" &&
    printf '[global]\ncert = %s\n' "$authorities" >"$root/etc/pip.conf" &&
    tar -C "$root" -c . | quietly docker import -c "LABEL $label=" -c 'CMD ["bash"]' - "$base" ||
    status=$?
  rm -rf "$root"
  return "$status"
}

make_dock() {
  quietly docker build -q --build-arg BASE="$base" --label "$label=" -t "$dock" tests/dock_image
}

# The first 12 digits of a hash of stdin, for a tag
digest() {
  sha256sum | cut -c 1-12
}

has() {
  docker image inspect "$1" >/dev/null 2>&1
}

# shellcheck source=/dev/null
if ! can_apt || ! release=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME"); then
  printf 'engine: tests of docks are skipped: their Docker Engine needs root on Debian\n' >&2
  exit 0
fi

exec {lock}>/run/lock/shellenv-engine.lock
flock "$lock" # others may be at it, in another checkout
engine_parts=(dockerd:docker.io iptables)
! answers || engine_parts=() # whoever installed it
scripts/parts.sh "${engine_parts[@]}" debootstrap rsync ssh:openssh-client sshd:openssh-server docker-compose
answers || start_engine
wait_for_engine

# A tag carries a hash of what the image was made from: an edit makes it anew.
authorities=/etc/ssl/certs/ca-certificates.crt
# shellcheck disable=SC2016  # apt's own variables
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' \
  "Release: $release" | sed 1q)
base=shellenv-base:$({ declare -f make_base && echo "$release $mirror" && cat "$authorities"; } | digest)
dock=shellenv-dock:$({ declare -f make_dock && echo "$base" && cat tests/dock_image/*; } | digest)
made=
for name in base dock; do
  has "${!name}" && continue
  made=yes
  printf 'making the image %s\n' "${!name}" >&2
  "make_$name" || fail "could not make ${!name}" 'See above.'
done
# Those of other states of the sources, if nobody used them in a week
[ -z "$made" ] || quietly docker image prune -af --filter "label=$label" --filter until=168h

mkdir -p "${names%/*}"
printf '%s\n%s\n' "$base" "$dock" >"$names"
