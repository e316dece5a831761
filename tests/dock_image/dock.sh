#!/usr/bin/env bash
# dock.sh VERB [ARGUMENT…]: the dock's own side: its first process, and what tests ask of it.
set -euo pipefail

keys=/etc/ssh/ssh_host
options=/etc/ssh/sshd_config.d/.test
socket=/var/run/docker.sock
hidden=/var/lib/hidden # what a test takes away
moved=/run/moved       # names where the socket is instead

# Waits until a command succeeds; shows what the daemons said if it never does.
await() {
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.05
  done
  tail -n 20 /var/log/sshd.log /var/log/dockerd.log >&2
  return 1
}

# Is the process that a file names there?
runs() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

ends() {
  ! runs "$1"
}

end() {
  ! runs "$1" || kill "$(<"$1")"
  await ends "$1"
}

ssh_up() {
  runs /run/sshd.pid || /usr/sbin/sshd -E /var/log/sshd.log
  await runs /run/sshd.pid
}

# The listener and every connection
ssh_down() {
  end /run/sshd.pid
  pkill -x sshd || true
}

# Reads its configuration again, and ends all connections.
ssh_reload() {
  ssh_down
  ssh_up
}

# Everything that is started belongs to this container's cgroup, or freezing would leave it out.
engine_launch() {
  local group
  group=$(sed -n 's/^[0-9]*:memory://p' /proc/1/cgroup)
  setsid -f dockerd --cgroup-parent "$group" --shutdown-timeout 1 \
    </dev/null >>/var/log/dockerd.log 2>&1
}

engine_up() {
  runs /run/docker.pid || engine_launch
  await docker version
}

engine_down() {
  end /run/docker.pid
}

# socket_to PATH: the engine listens there instead; a socket that is renamed is still the same.
socket_to() {
  mkdir -p "$(dirname "$1")"
  mv "$socket" "$1"
  printf '%s\n' "$1" >"$moved"
}

# To the user it is as if nobody ever installed docker here.
docker_gone() {
  socket_to "$hidden/docker.sock"
  mv /usr/bin/docker "$hidden/docker"
}

# old_api VERSION: in place of the engine something answers that speaks this version of the API.
old_api() {
  socket_to "$hidden/docker.sock"
  setsid -f old_api.py "$socket" "$1" </dev/null >/var/log/old_api.log 2>&1
  await test -e /run/old_api.pid
}

# Makes everything as it was at the first start, but for the engine's images.
reset() {
  local containers
  if [ -e "$options" ]; then
    rm "$options"
    ssh_down
  fi
  ssh_up
  pkill -KILL -u ubuntu || true
  [ ! -e "$hidden/docker" ] || mv "$hidden/docker" /usr/bin/docker
  if [ -e /run/old_api.pid ]; then
    end /run/old_api.pid
    rm /run/old_api.pid
  fi
  if [ -e "$moved" ]; then
    [ ! -S "$(<"$moved")" ] || mv "$(<"$moved")" "$socket"
    rm "$moved"
  fi
  id -nG ubuntu | grep -qw docker || usermod -aG docker ubuntu
  home
  engine_up
  containers=$(docker ps -aq)
  # shellcheck disable=SC2086  # a list of ids
  [ -z "$containers" ] || docker rm -fv $containers
  docker volume prune -f
  docker network prune -f
}

# A new home directory for the user, with the key that may log in
home() {
  rm -rf /home/ubuntu
  cp -R /etc/skel /home/ubuntu
  mkdir -p /home/ubuntu/.ssh
  printf '%s\n' "$AUTHORIZED_KEY" >/home/ubuntu/.ssh/authorized_keys
  chmod -R go= /home/ubuntu
  chown -R ubuntu:ubuntu /home/ubuntu
}

# What the container runs, at its first start and at every other
boot() {
  local kind
  rm -rf /run/*.pid /run/docker* /run/containerd
  for kind in ed25519 ecdsa; do
    [ -e "${keys}_${kind}_key" ] || ssh-keygen -qN '' -t "$kind" -f "${keys}_${kind}_key"
  done
  [ -e /home/ubuntu/.ssh ] || home
  rm -f "$moved"
  engine_launch
  ssh_up
  # The first process takes in those that lost their parents.
  while :; do
    sleep infinity &
    wait $! || true
  done
}

# Returns once both daemons answer.
ready() {
  await runs /run/sshd.pid
  await docker version
}

"$@"
