# shellenv for bash 3.2 and newer: the static half of the hook.
#
# `eval "$(shellenv hook bash)"` loads this file. It holds two things:
#   primitives  change the shell and write down, first, how to undo the change;
#   triggers    notice that another directory, or another state of one, calls for a change.
# What to change comes from a *snippet*, rendered once by the program and kept on disk; in the
# common case the shell finds and sources it without starting any process.
#
# Whatever state the user's shell is in must not matter and must survive: `set -eu`, noclobber,
# nocasematch (so strings are compared with `[ = ]`), an odd IFS (so everything is quoted), traps,
# functions of the user's that are called like builtins (so those are called as such).
# All names begin with __shellenv_, also those of variables that are local or should be: the user's
# code (activate scripts, hooks) runs inside these functions, and `local` costs as much as a test.

# Aliases are expanded while functions are *defined*: switch that off until the end of this file.
__shellenv_aliases=
if \builtin shopt -q expand_aliases; then
  __shellenv_aliases=on
  \builtin shopt -u expand_aliases
fi

__shellenv_version=5                        # of what snippets call: shellenv/shells.py has it, too
if [[ -z ${__shellenv_shell-} ]]; then      # the first time in this shell; the state survives a second eval
  __shellenv_shell=(bash)                   # an array, which no child inherits, not even with `set -a`
  __shellenv_bin=${__shellenv_bin-shellenv} # the program; set by what loads this file
  __shellenv_key=                           # the directory whose snippet is applied
  __shellenv_root=                          # the root of its project
  __shellenv_loaded=                        # the directory whose snippet is in memory
  __shellenv_found=                         # the directory that the last look around found
  __shellenv_resting=                       # the directory in which nothing was to be done, and how often
  __shellenv_still_at=                      # the directory that __shellenv_still is about
  __shellenv_still_found=                   # and what the walk from there found
  __shellenv_idle=                          # the same directory, if that was nothing
  __shellenv_test=__shellenv_still          # while nothing is applied, or else __shellenv_fresh
  __shellenv_tried=                         # a directory that the program could not serve: ask once, not at every prompt
  __shellenv_venv=                          # $VIRTUAL_ENV as we last saw it
  __shellenv_standard=                      # does its deactivate put back all that its activate has touched?
  __shellenv_ours=                          # the virtual environment that we have activated
  __shellenv_declined=                      # the root whose environment the user has deactivated
  __shellenv_touched=                       # the variables that the snippet in force is about
  __shellenv_probed=                        # a global variable that __shellenv_waits may have declared
  __shellenv_entered=$'\n'                  # the ids of the hooks that were entered, between newlines
  __shellenv_said=$'\n'                     # what the last apply said, between newlines
  __shellenv_saying=$'\n'                   # what this one says
  __shellenv_told=$'\n'                     # what was said for good
  __shellenv_paused=                        # the user wants no changes
  __shellenv_busy=                          # changes are being made: the user's code in them may cd
  __shellenv_nocasematch=                   # this option of the user's is off for a moment
  __shellenv_asking=                        # a prompt waits for the program
  __shellenv_gone=                          # the user knows that the program is gone
  __shellenv_inherited=                     # the undo log of the environment was looked at
  __shellenv_seen_at=                       # where cd or a prompt saw us last; `*`: no matter any more
  __shellenv_prompted=                      # a prompt has called us
  # The undo log, oldest first, four words a record: KIND NAME OLD NEW. Kinds: v variable, e variable
  # of a virtual environment, p PATH, a alias, f function, m prompt marker, h hook. States: `-` (unset),
  # `=value` (exported), `~value` (a shell variable) or `!declaration` (anything odder).
  __shellenv_log=()
  __shellenv_short=    # was the short way taken, partly or wholly? Then these are in place of most of the log:
  __shellenv_records=  # what it has set, as it is published
  __shellenv_path_old= # PATH before it
  __shellenv_path_new= # and after
  __shellenv_shortcut= # the function that takes it back
  # Unset, or the variables that the user changed by hand, carried over a reload: NAME=NEW OLD …
  builtin unset -v __shellenv_carry
  # The dock layer, of which dock.bash has the rest
  __shellenv_docked=      # the moniker of the dock
  __shellenv_dock_at=     # the directory of the connection to it
  __shellenv_dock_log=()  # its own undo log
  __shellenv_dock_busy=   # docking or casting off is under way
  __shellenv_dock_tried=0 # at how many prompts there was no connection
fi

__shellenv_static=${BASH_SOURCE[0]%/*} # where this file is, and dock.bash
__shellenv_us=$'\x1f'
__shellenv_nl=$'\n'
__shellenv_apostrophe="'"                             # for snippets, where a quoted one would not do
__shellenv_attributes=                                # does ${var@a} work here?
__shellenv_coarse=                                    # does -nt compare whole seconds only?
((BASH_VERSINFO[0] < 5)) || __shellenv_attributes=yes # 4.4 has it, but its `local -` loses expand_aliases
((BASH_VERSINFO[0] >= 5)) || __shellenv_coarse=yes    # 4.3 and 4.4, where they were built so

# The directories of the XDG base directory specification; a relative value counts as unset.
case ${XDG_CONFIG_HOME-}:${HOME-} in
  /*) __shellenv_config=$XDG_CONFIG_HOME/shellenv ;;
  *:/*) __shellenv_config=$HOME/.config/shellenv ;;
  *) __shellenv_config=/dev/null/shellenv ;;
esac
case ${XDG_CACHE_HOME-}:${HOME-} in
  /*) __shellenv_cache=$XDG_CACHE_HOME/shellenv ;;
  *:/*) __shellenv_cache=$HOME/.cache/shellenv ;;
  *) __shellenv_cache=/dev/null/shellenv ;;
esac

# --- primitives: what snippets are made of -------------------------------------------------------

# Export variables: NAME VALUE …
__shellenv_set() {
  if [[ -n $__shellenv_attributes ]]; then
    builtin local - # makes the next line local to this function
    builtin set +u  # asking for the attributes of an unset variable is no mistake
  fi
  while [[ $# -gt 1 ]]; do
    if [[ -n $__shellenv_docked ]] && __shellenv_dock_covers "$1" "=$2"; then
      __shellenv_log+=(v "$1" "$__shellenv_state" "=$2")
    elif __shellenv_inspect "$1"; then
      if [[ -z ${__shellenv_carry+x} ]] || ! __shellenv_carried "$1" "=$2"; then
        __shellenv_log+=(v "$1" "$__shellenv_state" "=$2")
        case $__shellenv_state in !*) builtin unset -v "$1" ;; esac # an integer would calculate with our value
        builtin export "$1=$2"
      fi
    else
      __shellenv_notice "$1 is readonly in this shell and stays as it is"
    fi
    shift 2
  done
}

# The state of the variable NAME, into __shellenv_state; false if it is readonly.
# __shellenv_fixed: is NAME, which is set, readonly? (To assign to it would end the function.)
if [[ -n $__shellenv_attributes ]]; then
  __shellenv_fixed() { [[ -n ${!1+x} && ${!1@a} == *r* ]]; }
  __shellenv_inspect() {
    case ${!1@a}${!1+.} in
      '') # declared, perhaps, as `export NAME` without a value does
        __shellenv_state=-
        if builtin declare -p "$1" >/dev/null 2>&1; then __shellenv_state="!$(builtin declare -p "$1")"; fi
        ;;
      .) __shellenv_state="~${!1}" ;;
      x.) __shellenv_state="=${!1}" ;;
      *r*) return 1 ;;
      *) __shellenv_state="!$(builtin declare -p "$1")" ;; # an array, an integer, …: rare, and worth a fork
    esac
  }
else
  __shellenv_inspect() {
    __shellenv_state=-
    if [[ -z ${!1+x} ]]; then return 0; fi
    __shellenv_state="!$(builtin declare -p "$1")"
    case $__shellenv_state in
      '!declare -- '*) __shellenv_state="~${!1}" ;;
      '!declare -x '*) __shellenv_state="=${!1}" ;;
      '!declare -'*r*' '"$1"*) return 1 ;;
    esac
  }
  __shellenv_fixed() { [[ -n ${!1+x} ]] && ! builtin printf -v "$1" %s "${!1}" 2>/dev/null; }
fi

# Did the user change NAME by hand, while the project's own value for it, NEW, is what it was? Then
# the change stays over the reload, and so does the record under it.
__shellenv_carried() {
  builtin local i
  for ((i = 0; i < ${#__shellenv_carry[@]}; i += 2)); do
    if [ "${__shellenv_carry[i]}" = "$1$2" ]; then
      __shellenv_log+=(v "$1" "${__shellenv_carry[i + 1]}" "$2")
      return 0
    fi
  done
  return 1
}

# Put directories in front of PATH, in this order: DIRECTORY …
__shellenv_prepend() {
  builtin local front=''
  while [[ $# -gt 0 ]]; do
    front=$front$1:
    shift
  done
  __shellenv_path_becomes "$front${PATH-}" || return 0
  PATH=$front${PATH-}
  # A virtual environment's deactivate puts this one back: it must not lose our entries.
  if [[ -n ${_OLD_VIRTUAL_PATH-} ]]; then _OLD_VIRTUAL_PATH=$front$_OLD_VIRTUAL_PATH; fi
}

# Note, once for all of the project's entries, what PATH was and is about to become; false if it
# cannot become anything.
__shellenv_path_becomes() {
  if [[ -z $__shellenv_path ]]; then
    if __shellenv_fixed PATH; then
      __shellenv_notice 'PATH is readonly in this shell and stays as it is'
      return 1
    fi
    __shellenv_log+=(p PATH "=${PATH-}" "=$1")
    __shellenv_path=$((${#__shellenv_log[@]} - 1))
  else
    __shellenv_log[__shellenv_path]="=$1"
  fi
}

# Define aliases: NAME VALUE …
__shellenv_alias() {
  while [[ $# -gt 1 ]]; do
    __shellenv_alias_state "$1"
    __shellenv_log+=(a "$1" "$__shellenv_state" "=$2")
    # shellcheck disable=SC2139 # now is when it is to expand
    builtin alias "$1=$2"
    shift 2
  done
}

# The alias NAME, into __shellenv_state.
if ((BASH_VERSINFO[0] >= 4)); then
  __shellenv_alias_state() { __shellenv_state=${BASH_ALIASES[$1]+=}${BASH_ALIASES[$1]--}; }
else
  __shellenv_alias_state() {
    __shellenv_state=-
    if builtin alias "$1" >/dev/null 2>&1; then
      __shellenv_state=$(builtin alias "$1") # alias name='value', quoted
      builtin eval "__shellenv_state==${__shellenv_state#*=}"
    fi
  }
fi

# Activate the virtual environment VENV by sourcing its own activate script. WORD…: what the script
# is known to touch beyond the usual: v:VARIABLE, a:ALIAS, f:FUNCTION, or * for "it cannot be known".
# One that the user has activated by hand wins, and so does the user's `deactivate`.
__shellenv_activate() {
  if [[ -n ${VIRTUAL_ENV-} || -n $__shellenv_declined ]]; then return 0; fi
  builtin local VIRTUAL_ENV_DISABLE_PROMPT="${VIRTUAL_ENV_DISABLE_PROMPT:-1}" # there is one marker, ours
  __shellenv_path_becomes "$1/bin:${PATH-}" || return 0
  __shellenv_names=''
  __shellenv_ours=$1
  # Written down before the script runs, in case it is interrupted; corrected afterwards.
  __shellenv_first=${#__shellenv_log[@]}
  __shellenv_log+=(
    e VIRTUAL_ENV "${VIRTUAL_ENV+=}${VIRTUAL_ENV--}" "=$1"
    e VIRTUAL_ENV_PROMPT "${VIRTUAL_ENV_PROMPT+=}${VIRTUAL_ENV_PROMPT--}" -
  )
  # Then deactivate puts back all that activate has touched
  __shellenv_standard=''
  if [[ $#${VIRTUAL_ENV+x}${VIRTUAL_ENV_PROMPT+x}${PYTHONHOME+x} == 1 ]]; then __shellenv_standard=yes; fi
  if [[ -n ${PYTHONHOME+x} ]]; then __shellenv_log+=(e PYTHONHOME "=$PYTHONHOME" -); fi
  for __shellenv_n in deactivate pydoc; do
    if builtin declare -F "$__shellenv_n" >/dev/null; then __shellenv_function "$__shellenv_n"; fi
  done
  if [[ $# -gt 1 ]]; then __shellenv_touches "${@:2}"; fi
  # shellcheck source=/dev/null
  . "$1/bin/activate"
  __shellenv_log[__shellenv_path]="=${PATH-}"
  __shellenv_log[__shellenv_first + 3]=${VIRTUAL_ENV+=}${VIRTUAL_ENV--}
  __shellenv_log[__shellenv_first + 7]=${VIRTUAL_ENV_PROMPT+=}${VIRTUAL_ENV_PROMPT--}
  __shellenv_ours=${VIRTUAL_ENV-}
  if [[ $# -gt 1 ]]; then __shellenv_settle "$__shellenv_first"; fi
}

# Write down what else an activate script may change: WORD…, as for __shellenv_activate.
__shellenv_touches() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      v:*)
        if __shellenv_inspect "${1#v:}" 2>/dev/null; then
          __shellenv_log+=(e "${1#v:}" "$__shellenv_state" "$__shellenv_state")
        fi
        ;;
      a:*)
        __shellenv_alias_state "${1#a:}"
        __shellenv_log+=(a "${1#a:}" "$__shellenv_state" "$__shellenv_state")
        ;;
      f:*) __shellenv_function "${1#f:}" ;;
      '*')
        __shellenv_variables
        __shellenv_touches_all "$__shellenv_names"
        ;;
    esac
    shift
  done
}

# Write down all variables in NAMES, a space behind each; __shellenv_settle drops what stays the same.
__shellenv_touches_all() {
  builtin local __shellenv_rest="${1# }" __shellenv_n
  while [[ -n $__shellenv_rest ]]; do
    __shellenv_n=${__shellenv_rest%% *}
    __shellenv_rest=${__shellenv_rest#* }
    if __shellenv_inspect "$__shellenv_n" 2>/dev/null && [[ $__shellenv_state != !* ]]; then
      __shellenv_log+=(e "$__shellenv_n" "$__shellenv_state" "$__shellenv_state")
    fi
  done
}

# Write down the function NAME, which an activate script defines.
__shellenv_function() {
  if builtin declare -F "$1" >/dev/null; then
    __shellenv_log+=(f "$1" "!$(builtin declare -f "$1")" "=")
  else
    __shellenv_log+=(f "$1" - "=")
  fi
}

# After an activate script has run: what has become of the things recorded since FIRST?
__shellenv_settle() {
  builtin local __shellenv_i __shellenv_n __shellenv_state __shellenv_before="$__shellenv_names"
  for ((__shellenv_i = $1; __shellenv_i < ${#__shellenv_log[@]}; __shellenv_i += 4)); do
    __shellenv_n=${__shellenv_log[__shellenv_i + 1]}
    case ${__shellenv_log[__shellenv_i]} in
      e) __shellenv_log[__shellenv_i + 3]=${!__shellenv_n+=}${!__shellenv_n--} ;;
      a)
        __shellenv_alias_state "$__shellenv_n"
        __shellenv_log[__shellenv_i + 3]=$__shellenv_state
        ;;
    esac
  done
  if [[ -z $__shellenv_before ]]; then return 0; fi
  builtin local __shellenv_kept
  __shellenv_kept=("${__shellenv_log[@]:0:$1}")
  for ((__shellenv_i = $1; __shellenv_i < ${#__shellenv_log[@]}; __shellenv_i += 4)); do
    if [[ ${__shellenv_log[__shellenv_i]} != e ]] ||
      [ "${__shellenv_log[__shellenv_i + 2]#[=~]}" != "${__shellenv_log[__shellenv_i + 3]#=}" ]; then
      __shellenv_kept+=("${__shellenv_log[@]:__shellenv_i:4}")
    fi
  done
  __shellenv_log=("${__shellenv_kept[@]}")
  __shellenv_variables
  __shellenv_names=${__shellenv_names# }
  while [[ -n $__shellenv_names ]]; do
    __shellenv_n=${__shellenv_names%% *}
    __shellenv_names=${__shellenv_names#* }
    if [[ $__shellenv_before != *" $__shellenv_n "* ]]; then
      __shellenv_log+=(e "$__shellenv_n" - "=${!__shellenv_n-}")
    fi
  done
}

# The names of all variables but the shell's own and venv's, into __shellenv_names, each between spaces.
__shellenv_variables() {
  builtin local IFS=' ' __shellenv_c __shellenv_n
  __shellenv_names=' '
  for __shellenv_c in a b c d e f g h i j k l m n o p q r s t u v w x y z \
    A B C D E F G H I J K L M N O P Q R S T U V W X Y Z _; do
    builtin eval "for __shellenv_n in \${!$__shellenv_c@}; do
      case \$__shellenv_n in
        __shellenv_* | __SHELLENV_* | _OLD_VIRTUAL_* | VIRTUAL_ENV* | PATH | PS1 | PWD | OLDPWD | IFS | _) ;;
        BASH* | COMP_* | DIRSTACK | EPOCH* | FUNCNAME | GROUPS | HISTCMD | LINENO | OPT* | PIPESTATUS) ;;
        PPID | RANDOM | SECONDS | SHELLOPTS | SHLVL | SRANDOM | UID | EUID) ;;
        *) __shellenv_names=\$__shellenv_names\$__shellenv_n' ' ;;
      esac
    done"
  done
}

# Put the marker TEXT in front of the prompt, unless the user keeps the prompt to themselves.
__shellenv_mark() {
  if [[ -z ${PS1-} || -n ${SHELLENV_DISABLE_PROMPT-}${DOCKERUTILS_DISABLE_PROMPT-} ||
    -n ${VIRTUAL_ENV:+${VIRTUAL_ENV_DISABLE_PROMPT-}} ]] || __shellenv_fixed PS1; then
    return 0
  fi
  __shellenv_log+=(m PS1 - "=$1")
  PS1=$1$PS1
}

# Code to run on entering and on leaving: ID ENTER LEAVE. It runs once as long as ID stays, and not
# in sub-shells: `$(cd project && pwd)` is no visit.
__shellenv_hook() {
  __shellenv_log+=(h "$1" - "=$3")
  if [[ $BASH_SUBSHELL -gt 0 || $__shellenv_entered == *"$__shellenv_nl$1$__shellenv_nl"* ]]; then
    return 0
  fi
  __shellenv_entered=$__shellenv_entered$1$__shellenv_nl
  __shellenv_enter_code=$__shellenv_enter_code$2$__shellenv_nl
}

# Say TEXT, unless the last time that changes were made said the same; with WHAT, once in this shell.
__shellenv_notice() {
  if [[ $__shellenv_saying == *"$__shellenv_nl$1$__shellenv_nl"* ]]; then return 0; fi
  __shellenv_saying=$__shellenv_saying$1$__shellenv_nl
  if [[ $BASH_SUBSHELL -gt 0 || $__shellenv_said$__shellenv_told == *"$__shellenv_nl${2-$1}$__shellenv_nl"* ]]; then
    return 0
  fi
  __shellenv_told=$__shellenv_told${2+$2$__shellenv_nl}
  builtin printf 'shellenv: %s\n' "$1" >&2
}

# Begin a project's changes: KEY ROOT HOOK-IDS (one a line) VARIABLES. What another project, or an older
# state of this one, has done is undone first. False if all that is to wait.
__shellenv_begin() {
  case "$__shellenv_probed${FUNCNAME[*]: -2}" in
    '__shellenv_moved '* | 'cd main' | *' __shellenv_prompt') ;; # no function of the user's
    *) if __shellenv_waits "$__shellenv_touched $4"; then return 1; fi ;;
  esac
  __shellenv_busy=yes
  __shellenv_key='' # until the end is reached, this has not happened
  if [[ -n $__shellenv_root || ${VIRTUAL_ENV-} != "$__shellenv_venv" ]]; then __shellenv_begin_again "$2" "$3"; fi
  __shellenv_entering=$1 __shellenv_root=$2 __shellenv_touched=$4 __shellenv_path='' __shellenv_enter_code='' __shellenv_saying=$__shellenv_nl
}

# The same where something is to be undone or has been done by hand: ROOT HOOK-IDS.
__shellenv_begin_again() {
  builtin local __shellenv_again=yes
  __shellenv_follow
  if [ "$__shellenv_root" != "$1" ]; then
    __shellenv_again=''
    __shellenv_declined=''
    builtin unset -v __shellenv_carry
  fi
  if [[ -n $__shellenv_root ]]; then __shellenv_undo "$__shellenv_nl$2" "$__shellenv_again"; fi
}

# Has a function of the user's, which called cd, a local variable of one of these NAMES? The one that it
# hides can be neither seen nor unset before the function returns: the next prompt is early enough.
__shellenv_waits() {
  builtin local IFS=' ' __shellenv_n="$((${#FUNCNAME[@]} - 1))"
  if [[ ${FUNCNAME[__shellenv_n]} == main ]]; then __shellenv_n=$((__shellenv_n - 1)); fi # a script
  case ${FUNCNAME[__shellenv_n]} in
    cd | pushd | popd | shellenv | __shellenv_*)
      if [[ -n $__shellenv_probed && -z ${!__shellenv_probed+x} ]]; then builtin unset -v "$__shellenv_probed"; fi
      __shellenv_probed=''
      return 1
      ;;
  esac
  for __shellenv_n in $1; do
    if [[ -z ${!__shellenv_n+x} ]]; then
      if builtin declare -p "$__shellenv_n"; then return 0; fi
    elif __shellenv_hides "$__shellenv_n"; then
      return 0
    fi
  done >/dev/null 2>&1 # once: it takes as long as all else here
  return 1
}

# Is the variable NAME, which is set, a local one? Then the global one can be given an attribute (that
# of tracing means nothing for a variable) without it.
__shellenv_hides() {
  builtin local __shellenv_a
  if ! builtin declare -gt "$1" 2>/dev/null; then return 1; fi # bash 4.1 and older
  if [[ -n $__shellenv_attributes ]]; then
    __shellenv_a=${!1@a}
  else
    __shellenv_a=$(builtin declare -p "$1")
    __shellenv_a=${__shellenv_a%%"$1"*}
    __shellenv_a=${__shellenv_a#declare}
  fi
  builtin declare -g +t "$1"
  if [[ $__shellenv_a == *t* ]]; then return 1; fi
  __shellenv_probed=$1
}

# All changes are made: this is the state of the shell from now on.
__shellenv_end() {
  __shellenv_key=$__shellenv_entering __shellenv_venv=${VIRTUAL_ENV-} __shellenv_said=$__shellenv_saying
  builtin unset -v __shellenv_carry
  __shellenv_publish
  __shellenv_busy='' __shellenv_test=__shellenv_fresh
  if [[ -n $__shellenv_enter_code ]]; then builtin eval "$__shellenv_enter_code" >&2; fi
}

# --- the short way -------------------------------------------------------------------------------
#
# Mostly, nothing is in the way of what a project sets, and nothing of that has changed when it is
# left. Then the snippet makes its changes in a row, with one test before, and takes them back in a
# row, with one test before. No primitive runs and no log is kept, because what was done follows from
# the snippet: __shellenv_long says it in records. (A function is copied each time that it is called,
# so what is rare is in functions of its own.)

# Go back the short way; false, and nothing is done, if anything has changed.
__shellenv_back() {
  "$__shellenv_shortcut" || return
  if [[ -n $__shellenv_ours ]]; then
    deactivate
    if [[ -n ${VIRTUAL_ENV-} ]]; then # that was a function of the user's
      builtin unset -v VIRTUAL_ENV
      __shellenv_unpath _OLD_VIRTUAL_PATH "$__shellenv_path_old" "$__shellenv_path_new"
    fi
  fi
  PATH=$__shellenv_path_old
  __shellenv_ours='' __shellenv_short=''
}

# From the short way to the long one: the log that the primitives would have left.
__shellenv_long() {
  __shellenv_split "$__shellenv_records"
  __shellenv_log=(
    p PATH "=$__shellenv_path_old" "=$__shellenv_path_new"
    ${__shellenv_words[@]+"${__shellenv_words[@]}"} ${__shellenv_log[@]+"${__shellenv_log[@]}"}
  )
  __shellenv_short=''
}

# --- undoing -------------------------------------------------------------------------------------

# Undo all changes, newest first; what was changed by hand since stays as it is. KEEP: the ids of hooks
# that stay entered, between newlines. AGAIN: the same project follows, so carry hand-made changes over.
__shellenv_undo() {
  if [[ $__shellenv_entered != "$__shellenv_nl" ]]; then __shellenv_leave_hooks "$1"; fi
  if [[ -n $__shellenv_short ]] && ! __shellenv_back; then
    # What was not reached is not what the user has unset.
    if [[ $__shellenv_short == partly ]]; then builtin set -- "$1" ''; fi
    __shellenv_long
  fi
  if [[ -n $__shellenv_ours ]]; then __shellenv_deactivate; fi
  if [[ ${#__shellenv_log[@]} -eq 4 && ${__shellenv_log[0]} == m ]]; then
    __shellenv_unmark "${__shellenv_log[3]#=}"
    __shellenv_log=()
  elif [[ ${#__shellenv_log[@]} -gt 0 ]]; then
    __shellenv_restore "$2" 2>/dev/null # what became readonly meanwhile stays, and silently
  fi
}

# Take the marker TEXT out of the prompt.
__shellenv_unmark() {
  if [[ -n ${PS1-} ]]; then PS1=${PS1/"$1"/}; fi
  if [[ -n ${_OLD_VIRTUAL_PS1-} ]]; then _OLD_VIRTUAL_PS1=${_OLD_VIRTUAL_PS1/"$1"/}; fi
}

# Run the leave code of the entered hooks, but of those in KEEP.
__shellenv_leave_hooks() {
  builtin local __shellenv_i __shellenv_id
  for ((__shellenv_i = ${#__shellenv_log[@]} - 4; __shellenv_i >= 0; __shellenv_i -= 4)); do
    if [[ ${__shellenv_log[__shellenv_i]} != h ]]; then continue; fi
    __shellenv_id=$__shellenv_nl${__shellenv_log[__shellenv_i + 1]}$__shellenv_nl
    if [[ $1 == *"$__shellenv_id"* || $__shellenv_entered != *"$__shellenv_id"* ]]; then continue; fi
    __shellenv_entered=${__shellenv_entered/"$__shellenv_id"/"$__shellenv_nl"}
    if [[ $BASH_SUBSHELL -eq 0 ]]; then builtin eval "${__shellenv_log[__shellenv_i + 3]#=}" >&2; fi
  done
}

# Leave our virtual environment by its own `deactivate`, for what people have added to it; PATH is
# kept from it, because it would put an old one back and lose the user's edits.
__shellenv_deactivate() {
  if [ "${VIRTUAL_ENV:-$__shellenv_ours}" = "$__shellenv_ours" ] && builtin declare -F deactivate >/dev/null; then
    if [[ -z $__shellenv_standard ]]; then __shellenv_claim; fi
    __shellenv_now=$PATH
    deactivate
    PATH=$__shellenv_now
  fi
  __shellenv_ours=''
}

# Mark the records of variables that still have our value: they are ours, whatever the environment's
# deactivate makes of them.
__shellenv_claim() {
  builtin local __shellenv_i __shellenv_n
  for ((__shellenv_i = 0; __shellenv_i < ${#__shellenv_log[@]}; __shellenv_i += 4)); do
    __shellenv_n=${__shellenv_log[__shellenv_i + 1]}
    if [[ ${__shellenv_log[__shellenv_i]} == e || ${__shellenv_log[__shellenv_i]}$__shellenv_docked == v ]] &&
      [ "${!__shellenv_n+=}${!__shellenv_n--}" = "${__shellenv_log[__shellenv_i + 3]}" ]; then
      __shellenv_log[__shellenv_i]=o
    fi
  done
}

# Put back what the records say, newest first, and drop them. AGAIN: see __shellenv_undo.
__shellenv_restore() {
  for ((__shellenv_i = ${#__shellenv_log[@]} - 4; __shellenv_i >= 0; __shellenv_i -= 4)); do
    __shellenv_n=${__shellenv_log[__shellenv_i + 1]}
    case ${__shellenv_log[__shellenv_i]} in
      v | e)
        if [[ -n $__shellenv_docked ]] &&
          __shellenv_dock_covers "$__shellenv_n" "${__shellenv_log[__shellenv_i + 2]}" "${__shellenv_log[__shellenv_i + 3]}"; then
          : # done beneath
        elif [ "${!__shellenv_n+=}${!__shellenv_n--}" = "${__shellenv_log[__shellenv_i + 3]}" ]; then
          __shellenv_put "$__shellenv_n" "${__shellenv_log[__shellenv_i + 2]}"
        elif [[ ${__shellenv_log[__shellenv_i]}$1 == vyes ]]; then
          __shellenv_carry+=("$__shellenv_n${__shellenv_log[__shellenv_i + 3]}" "${__shellenv_log[__shellenv_i + 2]}")
        fi
        ;;
      o) __shellenv_put "$__shellenv_n" "${__shellenv_log[__shellenv_i + 2]}" ;;
      a)
        __shellenv_alias_state "$__shellenv_n"
        if [ "$__shellenv_state" != "${__shellenv_log[__shellenv_i + 3]}" ]; then
          : # redefined since
        elif [[ ${__shellenv_log[__shellenv_i + 2]} == - ]]; then
          builtin unalias "$__shellenv_n"
        else
          # shellcheck disable=SC2139 # now is when it is to expand
          builtin alias "$__shellenv_n${__shellenv_log[__shellenv_i + 2]}"
        fi
        ;;
      p)
        __shellenv_unpath PATH "${__shellenv_log[__shellenv_i + 2]#=}" "${__shellenv_log[__shellenv_i + 3]#=}"
        # and what an environment that the user has activated inside will put back
        if [[ -n ${_OLD_VIRTUAL_PATH-} ]]; then
          __shellenv_unpath _OLD_VIRTUAL_PATH "${__shellenv_log[__shellenv_i + 2]#=}" "${__shellenv_log[__shellenv_i + 3]#=}"
        fi
        ;;
      m) __shellenv_unmark "${__shellenv_log[__shellenv_i + 3]#=}" ;;
      f)
        builtin unset -f "$__shellenv_n"
        if [[ ${__shellenv_log[__shellenv_i + 2]} == !* ]]; then
          __shellenv_define "${__shellenv_log[__shellenv_i + 2]#!}"
        fi
        ;;
    esac
  done
  __shellenv_log=()
}

# Bring the variable NAME back to STATE.
__shellenv_put() {
  case $2 in
    -) builtin unset -v "$1" ;;
    =*) builtin export "$1$2" ;;
    '~'*)
      builtin unset -v "$1"
      builtin printf -v "$1" %s "${2#?}"
      # shellcheck disable=SC2163 # the variable of that name
      builtin export -n "$1" # even with `set -a`
      ;;
    *)
      builtin unset -v "$1"
      __shellenv_declare "$1" "${2#!declare }"
      ;;
  esac
}

# Declare NAME as `declare -p` printed it, without that word: -ATTRIBUTES NAME[=VALUE]. Only the value
# is evaluated: an alias could not get in, and a quoted \declare would take no arrays.
__shellenv_declare() {
  builtin local __shellenv_n="${2#* }"
  __shellenv_n=${__shellenv_n#"$1"}
  # shellcheck disable=SC2034,SC2163 # it is the variable of that name
  if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 402)); then
    builtin declare -g "${2%% *}" "$1"
  elif [[ ${2%% *} == *x* ]]; then
    builtin export "$1"
  fi
  case $__shellenv_n in
    "='("*) # before 4.4, an array stands in quotes once more
      builtin eval "__shellenv_n$__shellenv_n"
      builtin eval "$1=$__shellenv_n"
      ;;
    =*) builtin eval "$1$__shellenv_n" ;;
  esac
}

# Evaluate DEFINITION, of a function, without the user's aliases in it.
__shellenv_define() {
  if builtin shopt -q expand_aliases; then
    builtin shopt -u expand_aliases
    builtin eval "$1"
    builtin shopt -s expand_aliases
  else
    builtin eval "$1"
  fi
}

# The variable NAME holds a PATH that was OLD and became NEW, which is OLD with entries in front;
# since then it may have been edited. Take our entries out, and nothing else.
__shellenv_unpath() {
  if [ "${!1-}" = "$3" ]; then
    builtin printf -v "$1" %s "$2"
    return 0
  fi
  builtin local current=":${!1-}:" old=":$2:" new=":$3:" front="${3%"$2"}" entry
  if [[ -n $front && $front != *: ]]; then front=$front:; fi # something stands behind OLD, too
  if [[ $current == *"$new"* ]]; then                        # edited in front and behind only
    current=${current/"$new"/"$old"}
  elif [[ $new == *":$front$2:" && -n $front && $current == *":$front"* ]]; then
    current=${current/":$front"/:}
  else
    while [[ -n $front ]]; do
      entry=:${front%%:*}:
      front=${front#*:}
      # One that the user had before, too, is theirs as long as there is only one.
      if [[ $current == *"$entry"* && ($old != *"$entry"* || ${current#*"$entry"} == *"${entry#:}"*) ]]; then
        current=${current/"$entry"/:}
      fi
    done
  fi
  current=${current#:}
  builtin printf -v "$1" %s "${current%:}"
}

# Undo everything; this shell is in no project any more.
__shellenv_leave() {
  case "$__shellenv_probed${FUNCNAME[*]: -2}" in
    '__shellenv_moved '* | 'cd main' | *' __shellenv_prompt') ;;
    *) if __shellenv_waits "$__shellenv_touched"; then return 0; fi ;;
  esac
  __shellenv_touched=''
  __shellenv_key='' __shellenv_busy=yes
  __shellenv_undo "$__shellenv_nl" ''
  __shellenv_root='' __shellenv_said=$__shellenv_nl __shellenv_declined='' __shellenv_venv=${VIRTUAL_ENV-}
  __shellenv_test=__shellenv_still
  builtin unset -v __shellenv_carry __SHELLENV_UNDO
  if [[ -n ${__SHELLENV_UNDO_1+x} ]]; then builtin unset -v "${!__SHELLENV_UNDO_@}"; fi
  __shellenv_busy=''
}

# --- the undo log for other shells -----------------------------------------------------------------

# Export the log, so that a child shell of any kind can undo what it inherits: its words, with a unit
# separator (0x1f) behind each.
__shellenv_publish() {
  if [[ -n ${__SHELLENV_UNDO_1+x} ]]; then builtin unset -v "${!__SHELLENV_UNDO_@}"; fi
  if [[ -n $__shellenv_short && $__shellenv_key$__shellenv_root$__shellenv_path_new != *[%$__shellenv_us]* ]]; then
    __shellenv_text=p${__shellenv_us}PATH$__shellenv_us=$__shellenv_path_old$__shellenv_us=$__shellenv_path_new
    __shellenv_text=$__shellenv_key$__shellenv_us$__shellenv_root$__shellenv_us$__shellenv_text$__shellenv_us$__shellenv_records
    if [[ ${#__shellenv_log[@]} -eq 0 ]] || __shellenv_join; then
      builtin export __SHELLENV_UNDO="#${__shellenv_us}1$__shellenv_us$__shellenv_text"
      if [[ ${#__shellenv_text} -lt 30000 ]]; then return 0; fi
    fi
  fi
  __shellenv_publish_long
}

# Append the log to __shellenv_text; false if something in it must be encoded.
__shellenv_join() {
  builtin local IFS="$__shellenv_us"
  __shellenv_text=$__shellenv_text${__shellenv_log[*]}$IFS
  IFS=''
  [[ ${__shellenv_log[*]} != *[%$__shellenv_us]* ]]
}

# The same for a log that is long, or has words with a separator or % in them: percent-encoded, and
# in slices. One string of the environment holds at most 128 KiB (MAX_ARG_STRLEN of execve(2) on Linux).
__shellenv_publish_long() {
  builtin local IFS='' text word words
  if [[ -n $__shellenv_short ]]; then __shellenv_long; fi
  words=("$__shellenv_key" "$__shellenv_root" ${__shellenv_log[@]+"${__shellenv_log[@]}"})
  text=${words[*]}
  if [[ $text == *[%$__shellenv_us]* ]]; then
    words=("${words[@]//%/%25}")
    words=("${words[@]//"$__shellenv_us"/%1F}")
  fi
  IFS=$__shellenv_us
  text="#${IFS}1$IFS${words[*]}$IFS"
  builtin export __SHELLENV_UNDO="${text:0:30000}"
  for ((word = 1; ${#text} > word * 30000; word++)); do
    builtin export "__SHELLENV_UNDO_$word=${text:word*30000:30000}"
  done
}

# The words in TEXT, which has been published, into the array __shellenv_words.
__shellenv_split() {
  builtin local text="$1" word i
  __shellenv_words=()
  if [[ -n $__shellenv_attributes ]]; then
    builtin local - IFS="$__shellenv_us" # cutting word by word takes time squared
    builtin set -f
    # shellcheck disable=SC2206 # splitting is the purpose
    __shellenv_words=($text)
    if [[ $text != *%* ]]; then return 0; fi
    for i in "${!__shellenv_words[@]}"; do
      word=${__shellenv_words[i]//%1F/"$__shellenv_us"}
      __shellenv_words[i]=${word//%25/%}
    done
    return 0
  fi
  while [[ $text == *"$__shellenv_us"* ]]; do
    word=${text%%"$__shellenv_us"*}
    text=${text:${#word}+1}
    word=${word//%1F/"$__shellenv_us"}
    __shellenv_words+=("${word//%25/%}")
  done
}

# Take over the log that the environment brings: what it says was done is done in this shell, too.
__shellenv_inherit() {
  builtin local text="${__SHELLENV_UNDO-}" name words i
  for ((i = 1; i > 0; i++)); do
    name=__SHELLENV_UNDO_$i
    if [[ -z ${!name+x} ]]; then break; fi
    text=$text${!name}
  done
  __shellenv_split "$text"
  words=(${__shellenv_words[@]+"${__shellenv_words[@]}"})
  if [[ ${words[1]-} != 1 ]]; then return 0; fi # nothing, or another version's
  __shellenv_root=${words[3]}
  for ((i = 4; i + 3 < ${#words[@]}; i += 4)); do
    name=${words[i + 1]}
    case ${words[i]}:$name in
      [ve]:*[!a-zA-Z0-9_]* | [ve]:[0-9]* | [ve]:) continue ;; # no name, but code
      [ve]:* | p:PATH | m:PS1) ;;
      *) continue ;; # aliases, functions and hooks are not inherited,
    esac
    if [[ ${words[i + 2]} != =* ]]; then words[i + 2]=-; fi # nor are variables that are not exported
    __shellenv_log+=("${words[@]:i:4}")
    if [[ ${words[i]}:$name == e:VIRTUAL_ENV ]]; then
      __shellenv_ours=${words[i + 3]#=}
      __shellenv_venv=$__shellenv_ours
    fi
  done
}

# --- triggers ------------------------------------------------------------------------------------

# Bring the shell up to date with the directory it is in.
__shellenv_update() {
  # shellcheck disable=SC2050 # constant, but for `shopt -s nocasematch`
  if [[ -n $__shellenv_paused$__shellenv_busy || a == A ]]; then
    if [[ -z $__shellenv_paused$__shellenv_busy ]]; then __shellenv_exactly __shellenv_update; fi
    return 0
  fi
  # At the very place that a snippet is for, its guard says all, the settings included. (From here on,
  # nocasematch is off.)
  if [[ -n ${PWD-} && $__shellenv_key == "$PWD" && ${VIRTUAL_ENV-} == "$__shellenv_venv" ]]; then
    if __shellenv_fresh; then return 0; fi
  elif [[ -n $__shellenv_still_at && $__shellenv_still_at == "${PWD-}" ]] && __shellenv_still; then
    __shellenv_found=$__shellenv_still_found
    if [[ -z $__shellenv_found ]]; then
      if [[ -n $__shellenv_root ]]; then __shellenv_leave; fi
    elif [[ $__shellenv_found != "$__shellenv_key" || ${VIRTUAL_ENV-} != "$__shellenv_venv" ]] || ! __shellenv_fresh; then
      __shellenv_arrive
    fi
    return 0
  elif [[ -n ${PWD-} && $__shellenv_loaded == "$PWD" && $__shellenv_key != "$PWD" ]] && __shellenv_fresh; then
    __shellenv_found=$PWD
    __shellenv_apply
    return 0
  fi
  if [[ -n ${__shellenv_status+prompt} && $__shellenv_seen_at != '*' ]]; then __shellenv_check_cd; fi
  if __shellenv_settings; then
    __shellenv_look_around
    __shellenv_arrive
  else
    __shellenv_ask
  fi
}

# Make the changes that what was found calls for.
__shellenv_arrive() {
  if [[ -z $__shellenv_found ]]; then
    if [[ -n $__shellenv_root ]]; then __shellenv_leave; else __shellenv_rest; fi
  elif [[ $__shellenv_found == "$__shellenv_key" ]] && __shellenv_fresh; then
    if [[ ${VIRTUAL_ENV-} != "$__shellenv_venv" ]]; then
      __shellenv_follow
      if [[ -z ${VIRTUAL_ENV-} && -z $__shellenv_declined ]]; then __shellenv_apply; fi
    else
      __shellenv_rest
    fi
  elif [[ $__shellenv_found == "$__shellenv_loaded" ]] && __shellenv_fresh || __shellenv_load "$__shellenv_found"; then
    __shellenv_apply
  else
    __shellenv_ask
  fi
}

# Call FUNCTION with `shopt -s nocasematch`, should it be on, off meanwhile: it makes [[ == ]], case
# and ${x/y} take Api for api.
__shellenv_exactly() {
  # shellcheck disable=SC2050 # constant, but for that option
  if [[ a == A ]]; then
    __shellenv_nocasematch=yes
    builtin shopt -u nocasematch
    "$1"
    builtin shopt -s nocasematch
    __shellenv_nocasematch=''
  else
    "$1"
  fi
}

# The nearest directory that may have an environment, into __shellenv_found. From the logical $PWD
# upward, stopping below $HOME and /; where it stopped, into __shellenv_top.
__shellenv_look_around() {
  builtin local directory="${PWD-}" home="${HOME-}" name
  while [[ $home == */ ]]; do home=${home%/}; done
  # At the end of `/` and of `//` there is no name.
  while name=${directory##*/} && [[ -n $name && $directory != "$home" ]]; do
    if [[ -e $__shellenv_venvs/$name || -e $directory/.venv || -e $directory/dockerutils.cfg ||
      -e $directory/docker/dockerutils.cfg || -e $__shellenv_config/projects/$name.cfg ]]; then
      __shellenv_found=$directory
      __shellenv_top=$directory
      return 0
    fi
    directory=${directory%/*}
  done
  __shellenv_found=''
  __shellenv_top=$directory
}

# Nothing is to be done here. The third time in a row, put the walk that finds what is found here into
# one test, which takes half the time: __shellenv_still.
__shellenv_rest() {
  case $__shellenv_resting in
    "2 ${PWD-}") ;;
    "1 ${PWD-}")
      __shellenv_resting="2 ${PWD-}"
      return 0
      ;;
    *)
      __shellenv_resting="1 ${PWD-}"
      return 0
      ;;
  esac
  if [[ -n ${SHELLENV_VENV_DIR-} || -e $__shellenv_config/dockerutils.cfg || -e /etc/shellenv/dockerutils.cfg ]]; then
    return 0
  fi
  builtin local directory="$PWD" name path code
  builtin printf -v code %q "${HOME-}:"
  # shellcheck disable=SC2016 # it is to expand when the test is made
  code='[[ ${HOME-}:${SHELLENV_VENV_DIR-} == '$code
  for path in "$__shellenv_config/dockerutils.cfg" /etc/shellenv/dockerutils.cfg; do
    builtin printf -v code '%s && ! -e %q' "$code" "$path"
  done
  until [[ -z $directory || $directory == "$__shellenv_top" ]]; do
    name=${directory##*/}
    for path in "$__shellenv_venvs/$name" "$directory/.venv" "$directory/dockerutils.cfg" \
      "$directory/docker/dockerutils.cfg" "$__shellenv_config/projects/$name.cfg"; do
      builtin printf -v code '%s && ! -e %q' "$code" "$path"
    done
    directory=${directory%/*}
  done
  __shellenv_define "__shellenv_still() { $code ]]; }"
  __shellenv_still_at=$PWD __shellenv_still_found=$__shellenv_found __shellenv_idle=
  if [[ -z $__shellenv_found ]]; then __shellenv_idle=$PWD; fi
}

# Where the virtual environments are, into __shellenv_venvs; false if only the program can say, which
# reads the configuration.
__shellenv_settings() {
  if [[ -z ${SHELLENV_VENV_DIR-} && ! -e $__shellenv_config/dockerutils.cfg && ! -e /etc/shellenv/dockerutils.cfg ]]; then
    case ${HOME-} in
      /*) __shellenv_venvs=$HOME/.venv ;;
      *) __shellenv_venvs=/dev/null/.venv ;;
    esac
    return 0
  fi
  if [[ -n ${SHELLENV_VENV_DIR-} ]]; then
    # shellcheck disable=SC2088 # as it was written
    case $SHELLENV_VENV_DIR:${HOME-} in
      /*) __shellenv_venvs=$SHELLENV_VENV_DIR ;;
      '~:/'* | '~/'*:/*) __shellenv_venvs=$HOME${SHELLENV_VENV_DIR#'~'} ;;
      *:/*) __shellenv_venvs=$HOME/.venv ;; # it is none, as the program says
      *) __shellenv_venvs=/dev/null/.venv ;;
    esac
    return 0
  fi
  if builtin declare -F __shellenv_settled >/dev/null && __shellenv_settled; then return 0; fi
  __shellenv_source "$__shellenv_cache/settings.bash" && __shellenv_settled
}

# Source FILE, a snippet or the settings, if it is whole enough to begin with the right line and is
# the user's own; its last line says for which directory it is.
__shellenv_source() {
  builtin local __shellenv_line
  if [[ ! -O $1 || ! -f $1 || ! -r $1 ]]; then return 1; fi
  IFS= builtin read -r __shellenv_line <"$1" || return 1
  if [ "$__shellenv_line" != '# shellenv snippet '"$__shellenv_version" ]; then return 1; fi
  # A file that ends within [[ ]] leaves bash's parser confused up to the next mistake: make one.
  # shellcheck source=/dev/null
  . "$1" 2>/dev/null || builtin eval ')' 2>/dev/null || return 1
}

# Load the snippet of DIRECTORY; false if there is none, or it is not fresh.
__shellenv_load() {
  __shellenv_loaded=
  __shellenv_source "$__shellenv_cache/snippets/bash$1/.snippet"
  [ "$__shellenv_loaded" = "$1" ] && __shellenv_fresh
}

# Ask the program, which prints what to do and keeps it for the next time.
__shellenv_ask() {
  builtin local __shellenv_code
  if [ "$__shellenv_tried" = "$PWD" ]; then return 0; fi
  __shellenv_loaded=
  __shellenv_asking=${__shellenv_status+prompt}
  if [[ ! -x $__shellenv_bin ]]; then
    if [[ -z $__shellenv_gone ]]; then
      __shellenv_notice "$__shellenv_bin is gone; install shellenv again, or take its line out of your rc file"
    fi
    __shellenv_gone=yes
  elif __shellenv_code=$("$__shellenv_bin" export bash ${__shellenv_coarse:+--coarse}); then
    __shellenv_asking=''
    builtin eval "$__shellenv_code"
    __shellenv_look_around # with the settings that it has brought
    if [ "$__shellenv_loaded" = "$__shellenv_found" ]; then
      __shellenv_tried=
      return 0
    fi
  elif [[ $? -gt 128 ]]; then
    __shellenv_asking=''
    return 0 # interrupted, under a trap of the user's: again at the next prompt
  fi
  __shellenv_asking=''
  # It has failed and said so, or sees another directory than we do: that will not change by itself.
  __shellenv_tried=$PWD
  if [[ -n $__shellenv_root ]] && [ "$__shellenv_key" != "$__shellenv_found" ]; then __shellenv_leave; fi
}

# $VIRTUAL_ENV is not what we left: the user has activated or deactivated something by hand.
__shellenv_follow() {
  if [ "${VIRTUAL_ENV-}" = "$__shellenv_venv" ]; then return 0; fi
  if [[ -z ${VIRTUAL_ENV-} && -n $__shellenv_ours && $__shellenv_short != partly ]] &&
    [ "$__shellenv_venv" = "$__shellenv_ours" ]; then
    __shellenv_declined=$__shellenv_root
  fi
  __shellenv_venv=${VIRTUAL_ENV-}
}

# Ctrl-C has ended something; at a prompt nothing goes on any more. True if this prompt should be a
# quiet one: bash goes from an interrupted prompt to the next at once, which must not be as slow.
__shellenv_interrupted() {
  __shellenv_busy=''
  if [[ -n $__shellenv_nocasematch ]]; then builtin shopt -s nocasematch; fi
  __shellenv_nocasematch=''
  [[ -n $__shellenv_asking ]] || return 1
  __shellenv_asking=''
  [[ $__shellenv_status -eq 130 ]]
}

# At every prompt.
__shellenv_prompt() {
  builtin local __shellenv_status="$?"
  # The common case, at the cost of one call: this is where a snippet is applied, or where for several
  # prompts there was nothing to do.
  # shellcheck disable=SC2050 # constant, but for `shopt -s nocasematch`
  if [[ -z $__shellenv_busy$__shellenv_nocasematch$__shellenv_asking$__shellenv_paused && a != A && -n ${PWD-} &&
    ${__shellenv_key:-$__shellenv_idle} == "$PWD" && ${VIRTUAL_ENV-} == "$__shellenv_venv" ]] && "$__shellenv_test"; then
    :
  elif [[ -z $__shellenv_busy$__shellenv_nocasematch$__shellenv_asking ]] || ! __shellenv_interrupted; then
    __shellenv_update || :
  fi
  if [[ -n $__shellenv_docked && (-n $__shellenv_dock_busy || ! -e $__shellenv_dock_at/alive) ]]; then
    __shellenv_dock_check
  fi
  return "$__shellenv_status"
}

# After cd, pushd and popd, so that `cd project && command` works. Never fails: they did not.
__shellenv_moved() {
  if [[ $__shellenv_seen_at != '*' ]]; then
    __shellenv_seen_at=${PWD-}
    if [[ -z $__shellenv_prompted && $- == *i* ]]; then __shellenv_install_prompt; fi # it was overwritten
  fi
  __shellenv_update || :
}

# The verbs that change this shell; all others are the program's.
shellenv() {
  case $#:${1-} in
    1:reload | 1:pause | 1:resume) __shellenv_exactly "__shellenv_$1" || : ;;
    *:allow | *:deny)
      "$__shellenv_bin" "$@" || return
      __shellenv_tried=
      __shellenv_moved
      ;;
    *:dock | *:castoff) "$@" ;;
    *:status) __SHELLENV_PAUSED=${__shellenv_paused:-no} "$__shellenv_bin" "$@" ;;
    *) "$__shellenv_bin" "$@" ;;
  esac
}

# The dock layer is in a file of its own, which most shells never need: each of these loads it, and
# with it the function that takes its place.
dock() { __shellenv_load_dock && dock "$@"; }
castoff() { __shellenv_load_dock && castoff "$@"; }
__shellenv_dock_complete() { __shellenv_load_dock && __shellenv_dock_complete "$@"; }
__shellenv_load_dock() {
  builtin local aliases='' # they are expanded while functions are defined, as above
  if builtin shopt -q expand_aliases; then
    aliases=on
    builtin shopt -u expand_aliases
  fi
  # shellcheck source=shell/dock.bash
  . "$__shellenv_static/dock.bash"
  if [[ -n $aliases ]]; then builtin shopt -s expand_aliases; fi
}

# Undo everything and do it anew, hooks included.
__shellenv_reload() {
  __shellenv_paused=
  __shellenv_tried=
  __shellenv_leave
  __shellenv_look_around
  __shellenv_ask || :
}

# Undo everything, and do nothing in this shell until `shellenv resume`.
__shellenv_pause() {
  __shellenv_leave
  __shellenv_paused=yes
}

__shellenv_resume() {
  __shellenv_paused=
  __shellenv_tried=
  __shellenv_moved
}

# --- installing ----------------------------------------------------------------------------------

# Follow COMMAND (cd, pushd, popd), on top of the user's own function of that name if there is one.
__shellenv_wrap() {
  builtin local theirs="builtin $1" definition
  if builtin declare -F "$1" >/dev/null; then
    definition=$(builtin declare -f "$1")
    if [[ $definition == *__shellenv_moved* ]]; then return 0; fi
    theirs=__shellenv_users_$1
    # What we have wrapped before may be what this one calls.
    while builtin declare -F "$theirs" >/dev/null; do theirs=${theirs}_; done
    builtin eval "$theirs${definition#"$1"}"
  fi
  builtin eval "$1() { $theirs \"\$@\" && __shellenv_moved; }"
  # shellcheck disable=SC2163 # the function of that name
  builtin export -nf "$1" # a child that inherits it would not have the rest
}

# At a prompt: did we get here by a cd that has not told us? Then another tool that the rc file has loaded
# after us has put its own in place of ours, and we are put on top of that.
__shellenv_check_cd() {
  __shellenv_prompted=yes
  if [[ ${__shellenv_seen_at:-${PWD-}} == "${PWD-}" ]]; then
    __shellenv_seen_at=${PWD-}
  else
    __shellenv_seen_at='*'
    __shellenv_wrap cd
    __shellenv_wrap pushd
    __shellenv_wrap popd
  fi
}

# Be called before each prompt, if that is not the case. Behind what is there, so that nobody loses $? or
# PIPESTATUS; and `&& :` passes $? on without setting off `set -e` or the user's ERR trap.
__shellenv_install_prompt() {
  builtin local call='__shellenv_prompt && :' attributes i
  for i in ${PROMPT_COMMAND[@]+"${PROMPT_COMMAND[@]}"} ${precmd_functions[@]+"${precmd_functions[@]}"}; do
    if [[ $i == *__shellenv_prompt* ]]; then return 0; fi
  done
  if [[ -n ${__bp_imported-} ]]; then # bash-preexec takes what it does not know for a command line
    precmd_functions+=(__shellenv_prompt)
    return 0
  fi
  attributes=''
  if [[ -n ${PROMPT_COMMAND+x} ]]; then
    if [[ -n $__shellenv_attributes ]]; then
      attributes=${PROMPT_COMMAND@a}
    else
      attributes=$(builtin declare -p PROMPT_COMMAND) # declare -ax PROMPT_COMMAND=…
      attributes=${attributes#declare -}
      attributes=${attributes%% *}
    fi
  fi
  case $attributes in
    *r*)
      __shellenv_notice 'PROMPT_COMMAND is readonly in this shell: only cd, pushd and popd are followed'
      __shellenv_prompted=no
      return 0
      ;;
    *x*) call="case \${__shellenv_shell-} in bash) $call ;; esac" ;; # a child may not have this hook
    *a*)
      # bash 5.1 and newer run all of an array, older ones its first element
      if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)); then
        PROMPT_COMMAND=("$call" "${PROMPT_COMMAND[@]}")
        return 0
      fi
      ;;
  esac
  # shellcheck disable=SC2128,SC2178 # it is no array
  PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$__shellenv_nl}$call
}

if [[ -z $__shellenv_inherited ]]; then
  __shellenv_inherited=yes
  if [[ -n ${__SHELLENV_UNDO-} ]]; then __shellenv_inherit; fi
  if [[ -n ${__SHELLENV_DOCK_UNDO-} ]]; then __shellenv_load_dock && __shellenv_dock_inherit; fi
fi
if [[ ${1-} != --definitions ]]; then # a script may want no more than `shellenv export`
  __shellenv_wrap cd
  __shellenv_wrap pushd
  __shellenv_wrap popd
  __shellenv_install_prompt
  if [[ $- == *i* ]]; then
    builtin complete -F __shellenv_dock_complete dock ssh-dock unregister-dock 2>/dev/null || :
  else # a script has no prompt that could notice where it is
    __shellenv_moved
  fi
fi

if [[ -n $__shellenv_aliases ]]; then builtin shopt -s expand_aliases; fi
