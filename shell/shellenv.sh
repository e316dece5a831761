#!/bin/sh
# shellenv: the launcher. It answers `shellenv hook SHELL` itself, because every new shell asks
# that and Python would take ten times as long, and hands everything else to the Python core.
# The core has another name (shellenv-core): pip and uv would overwrite a launcher of that name.

reinstall='Install it again: pipx reinstall shellenv (or: uv tool install --force shellenv)'

# Fails with one line that says what happened and one that says what to do.
fail() {
  printf 'shellenv: %s\n%s\n' "$1" "$2" >&2
  exit 1
}

# Sets `self`, the absolute path by which the user reaches this launcher. It is kept as it is
# reached (~/.local/bin/shellenv, not pipx's file behind it), so that it outlives an upgrade.
locate_self() {
  case $0 in
    /*) self=$0 ;;
    */*) self=${PWD%/}/${0#./} ;;
    *)
      # `sh shellenv`: the file in this directory, or one that the shell found in $PATH
      if [ -f "$0" ]; then
        self=${PWD%/}/$0
      else
        self=$(command -v -- "$0") || self=$0
      fi
      ;;
  esac
}

# Sets `bin`, the directory of the real launcher: pipx and `uv tool` put a link in ~/.local/bin.
locate_bin() {
  bin=$self
  # Most links go to one of these places, and starting readlink takes longer than all the rest.
  for target in .local/share/pipx/venvs .local/pipx/venvs .local/share/uv/tools; do
    target=${HOME-}/$target/shellenv/bin
    # shellcheck disable=SC3013 # not in POSIX, but in dash, bash, ksh, zsh and busybox
    if [ "$bin" -ef "$target/shellenv" ]; then
      bin=$target
      return
    fi
  done
  while [ -L "$bin" ]; do
    target=$(readlink "$bin") || break
    case $target in
      /*) bin=$target ;;
      *) bin=${bin%/*}/$target ;;
    esac
  done
  bin=${bin%/*}
}

# Prints what loads the static hook of shell $1. Fails, and prints nothing, where only the core
# can say where that file is: an editable install, or more than one Python below the same prefix.
print_hook() {
  # Leaving the current directory is no loss: what follows is this printing or the core's.
  cd -P -- "$bin/.." 2>/dev/null || return 1
  shell=$1
  hook=
  set -- "${PWD%/}"/lib/python3*/*-packages/shellenv/shell/hook."$shell"
  for file; do
    # An editable install copies shell/ and templates/ here, never the package itself.
    if [ -f "$file" ] && [ -f "${file%/shell/*}/__init__.py" ]; then
      [ -z "$hook" ] || return 1
      hook=$file
    fi
  done
  [ -n "$hook" ] || return 1

  # What single quotes alone cannot quote in all three shells
  case $self$hook in
    *[\'\\]* | *'
'*) return 1 ;;
  esac
  if [ "$shell" = fish ]; then
    printf "set -g __shellenv_bin '%s'\nsource '%s' --install\n" "$self" "$hook"
  else
    printf "__shellenv_bin='%s'\n\\. '%s' --install\n" "$self" "$hook"
  fi
}

# Becomes the Python core, which is installed beside the launcher.
exec_core() {
  core=$bin/shellenv-core
  [ -f "$core" ] || core=$(command -v shellenv-core) ||
    fail "cannot find shellenv-core, which belongs beside $self" "$reinstall"

  { IFS= read -r shebang && IFS= read -r second; } <"$core"
  case $shebang in
    '#!/bin/sh') # pip's way around a path that is too long for the kernel: '''exec' PYTHON "$0" "$@"
      python=${second#"'''exec' "}
      # shellcheck disable=SC2016 # as it stands there
      python=${python%' "$0" "$@"'}
      python=${python#\"}
      shebang='#!'${python%\"}
      ;;
  esac
  case $shebang in
    '#!'*[[:space:]]*) ;;
    '#!'*python*)
      python=${shebang#??}
      [ -x "$python" ] || fail "its Python is gone: $python" "$reinstall"
      # -E: a project's PYTHONHOME or PYTHONPATH must not break the tool that unsets it.
      # -X utf8: names and values are bytes, whatever the locale makes of them.
      exec "$python" -E -X utf8 "$core" "$@"
      ;;
  esac
  exec "$core" "$@"
}

locate_self
locate_bin

# Under a verb's bare name (run-shell, ls-dock, …) it is that verb.
case ${0##*/} in
  shellenv*) ;;
  *) set -- "${0##*/}" "$@" ;;
esac

case "$#:$1:$2" in
  2:hook:bash | 2:hook:zsh | 2:hook:fish) print_hook "$2" && exit ;;
esac
exec_core "$@"
