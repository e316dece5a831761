#!/bin/sh
# enter.sh [CMD...]: how a run enters its container (the entry point of the image that
# shellenv/layers.py makes). It takes on what docker cannot pass, then becomes the command, or the
# best shell that there is.

# refuse STATUS MESSAGE HINT: what is said in a virtual environment, too (shellenv/supervisor.py)
refuse() {
  printf 'shellenv: %s\n%s\n' "$2" "$3" >&2
  exit "$1"
}

# knows TERM: at a terminal that the image has no description of, full-screen programs do not start
knows() {
  for SHELLENV_FILE in /usr/share/terminfo/?/"$1" /lib/terminfo/?/"$1" /etc/terminfo/?/"$1" ~/.terminfo/?/"$1"; do
    [ ! -e "$SHELLENV_FILE" ] || return 0
  done
  return 1
}

# interpreter FILE: what runs it, by its first line; nothing if it is no script
interpreter() {
  case $1 in */*) ;; *) return ;; esac
  if [ "$(head -c 2 "$1" 2>/dev/null)" = '#!' ]; then
    read -r first second <"$1"
    first=${first#??}
    first=${first:-${second%% *}}
    case $first in *"$(printf '\r')") first=${first%?}'\r' ;; esac
    printf '%s\n' "$first"
  fi
}

umask "${SHELLENV_UMASK:-0022}"
if [ -n "$SHELLENV_SIZE" ]; then
  # run-shell sets it, too, but only once the command runs (shellenv/terminal.py).
  # shellcheck disable=SC2086 # rows and columns
  set -- $SHELLENV_SIZE "$@"
  stty rows "$1" cols "$2" 2>/dev/null
  shift 2
fi
if [ -n "$SHELLENV_PIPE" ]; then
  # Secrets come through it (shellenv/handover.py). Any other variable here might be the user's own.
  SHELLENV_WAITED=0
  until [ -p "$SHELLENV_PIPE" ] || [ "$SHELLENV_WAITED" -gt 1200 ]; do
    sleep 0.05
    SHELLENV_WAITED=$((SHELLENV_WAITED + 1))
  done
  SHELLENV_CODE=$(cat "$SHELLENV_PIPE" 2>/dev/null)
  case $SHELLENV_CODE in
    *'# all')
      eval "$SHELLENV_CODE"
      ;;
    *)
      echo 'shellenv: the secrets of this run did not arrive; the command was not run' >&2
      exit 1
      ;;
  esac
fi
if [ -t 1 ] && ! knows "$TERM" && knows xterm-256color; then
  TERM=xterm-256color
fi
if [ -z "$SHELL" ] || [ $# -eq 0 ]; then
  SHELL=$(command -v bash) || SHELL=/bin/sh
  export SHELL
fi
unset SHELLENV_UMASK SHELLENV_SIZE SHELLENV_PIPE SHELLENV_WAITED SHELLENV_CODE SHELLENV_FILE

if [ $# -gt 0 ]; then
  case $1 in
    */*) [ ! -e "$1" ] || { [ -f "$1" ] && [ -x "$1" ]; } || refuse 126 "cannot run $1: Permission denied" 'is it executable?' ;;
  esac
  SHELLENV_FILE=$(command -v "$1") || refuse 127 "${1:-''} is not found" 'is it installed, and its directory in PATH?'
  SHELLENV_FILE=$(interpreter "$SHELLENV_FILE")
  [ -e "${SHELLENV_FILE:-/}" ] || refuse 127 "$1 needs $SHELLENV_FILE, which is not there" 'its first line says so'
  unset SHELLENV_FILE
  exec "$@"
fi

here=${0%/*}
if [ ! -t 0 ]; then
  exec "$SHELL"
elif [ "${SHELL##*/}" = bash ]; then
  exec "$SHELL" --rcfile "$here/bashrc" -i
else
  ENV=$here/shrc
  export ENV
  exec "$SHELL" -i
fi
