#!/bin/sh
# `source dock HOST` and `source castoff`, as dockerutils had them: for bash and zsh, also where the
# hook is not loaded. This file is installed under both names, in a directory of $PATH.
# shellcheck disable=SC3028 # BASH_SOURCE is bash's; elsewhere $0 is meant

__shellenv_sourced=${BASH_SOURCE-$0}
case ${ZSH_EVAL_CONTEXT-} in
  *file*) eval '__shellenv_sourced=${(%):-%x}' ;; # its $0 is what was typed
  *)
    if [ "$__shellenv_sourced" = "$0" ]; then # it was started as a program
      case $0 in */*) exec "${0%/*}/shellenv" "${0##*/}" "$@" ;; esac
      exec shellenv "${0##*/}" "$@"
    fi
    ;;
esac

if ! command -v __shellenv_load_dock >/dev/null; then
  # The hook's definitions without its triggers
  __shellenv_hook=$("${__shellenv_sourced%/*}/shellenv" hook "${ZSH_VERSION+zsh}${BASH_VERSION+bash}") &&
    eval "${__shellenv_hook% --install} --definitions"
  unset __shellenv_hook
fi
case $__shellenv_sourced in
  */castoff) castoff ;; # without arguments of its own, $@ is the sourcing script's
  *) dock "$@" ;;
esac
