# shellenv for zsh 5.3 and newer: the static half of the hook.
#
# `eval "$(shellenv hook zsh)"` loads this file. It holds two things:
#   primitives  change the shell and write down, first, how to undo the change;
#   triggers    notice that another directory, or another state of one, calls for a change.
# What to change comes from a *snippet*, rendered once by the program and kept on disk; in the
# common case the shell finds and evaluates it without starting any process.
#
# There are two kinds of functions, so that the user's options neither matter nor change:
#   Most begin with `emulate -L zsh`, or are only called by such.
#   Those on the way to code of the user's (activate scripts, hooks) do not: it runs under the user's
#   own options, and may set some. They are few, quote everything, and none of their commands fails:
#   ERR_EXIT or ERR_RETURN may be set.
# Where the user's code runs, or a project's variables are handled, all names begin with __shellenv_,
# also those of local variables, which would hide the others. Calling a function is what costs time
# in zsh (10 µs, as much as 10 to 20 other commands), so what happens at every prompt is in one.

# Aliases are expanded while functions are *read*: switch that off until the end of this file.
__shellenv_aliases= __shellenv_sh_glob=
[[ ! -o aliases ]] || __shellenv_aliases=yes
[[ ! -o sh_glob ]] || __shellenv_sh_glob=yes
\builtin 'setopt' no_aliases no_sh_glob # the latter would not let us read patterns

__shellenv_version=5 # of what snippets call: shellenv/shells.py has it, too

# What this shell remembers; it survives a second eval of this file.
__shellenv_initialize() {
  builtin emulate -L zsh
  builtin zmodload zsh/parameter
  typeset -g __shellenv_shell=zsh
  typeset -g __shellenv_bin=${__shellenv_bin-shellenv} # the program; set by what loads this file
  typeset -g __shellenv_static=${${(%):-%x}:h} # where this file is, and dock.zsh
  typeset -g __shellenv_nul=$'\0'
  typeset -g __shellenv_key=             # the directory whose snippet is applied
  typeset -g __shellenv_root=            # the root of its project
  typeset -g __shellenv_loaded=          # the directory whose snippet is in memory
  typeset -g __shellenv_found=           # the directory that the last look around found
  typeset -g __shellenv_still_at=        # the directory that __shellenv_still is about
  typeset -g __shellenv_still_found=     # and what the walk from there found
  typeset -g __shellenv_resting=         # `at` the directory in which nothing was to be done the last time (no name for it)
  typeset -g __shellenv_tried=           # a directory that the program could not serve: ask once, not at every prompt
  typeset -g __shellenv_venv=            # $VIRTUAL_ENV as we last saw it
  typeset -g __shellenv_ours=            # the virtual environment that we have activated
  typeset -g __shellenv_declined=        # the root whose environment the user has deactivated
  typeset -g __shellenv_paused=          # the user wants no changes
  typeset -g __shellenv_gone=            # the user knows that the program is gone
  typeset -g __shellenv_busy=            # changes are being made: the user's code in them may cd
  typeset -g __shellenv_entering=        # the key whose changes are being made
  typeset -g __shellenv_state=           # what __shellenv_inspect and __shellenv_alias_state found
  typeset -g __shellenv_code=            # code of the user's that is to run next
  typeset -g __shellenv_touched=         # the variables that the snippet in force is about
  typeset -ga __shellenv_entered=()      # the ids of the hooks that were entered
  typeset -ga __shellenv_said=()         # what the last apply said
  typeset -ga __shellenv_saying=()       # what this one says
  typeset -ga __shellenv_told=()         # what was said for good
  typeset -ga __shellenv_expected=()     # what an activate script will change: KIND NAME OLD …
  typeset -ga __shellenv_known=()        # what there was before it, if that cannot be known
  typeset -gA __shellenv_carry=()        # variables changed by hand, to be carried over a reload: NAME=NEW to OLD
  # The undo log, oldest first: records KIND NAME OLD NEW, with a NUL between. Kinds: v variable, e variable
  # of a virtual environment, a alias, f function, m prompt marker, h hook. States: `-` (unset), `=value`
  # (exported), `~value` (a shell variable; a global alias) or `!declaration` (anything odder).
  typeset -ga __shellenv_log=()
  # The dock layer, of which dock.zsh has the rest
  typeset -g __shellenv_docked=          # the moniker of the dock
  typeset -g __shellenv_dock_at=         # the directory of the connection to it
  typeset -ga __shellenv_dock_log=()     # its own undo log
  typeset -g __shellenv_dock_busy=       # docking or casting off is under way
  typeset -g __shellenv_dock_tried=0     # at how many prompts there was no connection
  typeset -g __shellenv_short=           # if the short way was taken: the records, as published, of what it has set
  typeset -g __shellenv_partly=          # it is being taken, in or back, or was interrupted
  # What PATH was and what we made of it: in the published log, a record of kind p.
  typeset -g __shellenv_old_path= __shellenv_new_path=
  # The directories of the XDG base directory specification; a relative value counts as unset.
  local home=${${(M)HOME:#/*}:-/dev/null}
  typeset -g __shellenv_config=${${(M)XDG_CONFIG_HOME:#/*}:-$home/.config}/shellenv
  typeset -g __shellenv_cache=${${(M)XDG_CACHE_HOME:#/*}:-$home/.cache}/shellenv
  __shellenv_inherit
  [[ -z ${__SHELLENV_DOCK_UNDO-} ]] || { __shellenv_load_dock && __shellenv_dock_inherit; }
}

# --- primitives: what snippets are made of -------------------------------------------------------

# Export variables: NAME=VALUE …
__shellenv_set() {
  builtin emulate -L zsh
  local -a __shellenv_names=("${(@)argv%%=*}")
  local -a __shellenv_exist=(\${+${^__shellenv_names}})
  if [[ "${(e)__shellenv_exist}" == *1* || -n $__shellenv_docked ]] || (( $#__shellenv_carry )); then
    __shellenv_set_each "$@"
  else # the common case: nothing to remember
    __shellenv_log+=(v$__shellenv_nul${^argv/=/$__shellenv_nul-$__shellenv_nul=})
    typeset -gx -- "$@"
  fi
}

# The same, one by one: what was there is remembered, or is in the way.
__shellenv_set_each() {
  local __shellenv_word __shellenv_name
  for __shellenv_word; do
    __shellenv_name=${__shellenv_word%%=*}
    if [[ -n $__shellenv_docked ]] && __shellenv_dock_covers $__shellenv_name "=${__shellenv_word#*=}"; then
      __shellenv_record v $__shellenv_name "$__shellenv_state" "=${__shellenv_word#*=}"
    # Changed by hand, while the project's own value is what it was: that stays over a reload.
    elif [[ -n ${__shellenv_carry[$__shellenv_word]-} ]]; then
      __shellenv_record v $__shellenv_name "$__shellenv_carry[$__shellenv_word]" "=${__shellenv_word#*=}"
    elif __shellenv_inspect $__shellenv_name; then
      __shellenv_record v $__shellenv_name "$__shellenv_state" "=${__shellenv_word#*=}"
      [[ $__shellenv_state != !* ]] || builtin unset $__shellenv_name # an integer would calculate with our value
      typeset -gx -- $__shellenv_word
    else
      __shellenv_notice "$__shellenv_name is $__shellenv_state and stays as it is"
    fi
  done
}

# Add KIND NAME OLD NEW to the log.
__shellenv_record() {
  __shellenv_log+=("${(pj:\0:)@}")
}

# The state of the variable NAME, into __shellenv_state; false, and why, if it cannot be changed.
__shellenv_inspect() {
  case ${(tP)1}:$1 in
    :*) __shellenv_state=- ;;
    *readonly*) __shellenv_state='readonly in this shell'; return 1 ;;
    (array|association|integer|float)*special*|*:USERNAME) __shellenv_state='special to zsh'; return 1 ;;
    scalar*(left|right|lower|upper|unique)*) __shellenv_state=!$(typeset -p $1) ;; # rare, and worth a fork
    scalar*export*) __shellenv_state="=${(P)1}" ;;
    scalar*) __shellenv_state="~${(P)1}" ;;
    float*) # of which `typeset -p` says neither how many digits are shown nor those that are not
      local __shellenv_shown=${${(M)${(P)1}:#*.*}%e*}
      __shellenv_state=$(typeset -p $1) # … -F NAME=VALUE, or -E, which counts all digits
      __shellenv_shown=$(( ${#__shellenv_shown#*.} + ${#${(M)__shellenv_state:#* -E $1=*}:+1} ))
      __shellenv_state="!${__shellenv_state%% $1=*} $__shellenv_shown $1=$(( $1 ))"
      ;;
    *) __shellenv_state=!$(typeset -p $1) ;;
  esac
}

# Put directories in front of PATH, in this order: DIRECTORY …
__shellenv_prepend() {
  builtin emulate -L zsh
  local front=${(j.:.)@}:
  if [[ ${(t)PATH} == *readonly* ]]; then
    __shellenv_notice 'PATH is readonly in this shell and stays as it is'
    return 0
  fi
  __shellenv_new_path=$front$PATH
  PATH=$front$PATH
  # A virtual environment's deactivate puts this one back: it must not lose our entries.
  [[ -z ${_OLD_VIRTUAL_PATH-} ]] || _OLD_VIRTUAL_PATH=$front$_OLD_VIRTUAL_PATH
}

# Define aliases: NAME=VALUE …
__shellenv_alias() {
  builtin emulate -L zsh
  local word name old
  for word; do
    name=${word%%=*}
    old="${aliases[$name]+=}${aliases[$name]-${galiases[$name]+~}${galiases[$name]--}}" # as below
    __shellenv_log+=("a$__shellenv_nul$name$__shellenv_nul$old$__shellenv_nul=${word#*=}")
  done
  builtin alias -- "$@"
}

# The state of the alias NAME, into __shellenv_state.
__shellenv_alias_state() {
  __shellenv_state="${aliases[$1]+=}${aliases[$1]-${galiases[$1]+~}${galiases[$1]--}}"
}

# Activate the virtual environment VENV by sourcing its own activate script. WORD…: what the script
# is known to touch beyond the usual: v:VARIABLE, a:ALIAS, f:FUNCTION, or * for "it cannot be known".
# One that the user has activated by hand wins, and so does the user's `deactivate`.
__shellenv_activate() {
  [[ -z "${VIRTUAL_ENV-}$__shellenv_declined" ]] || return 0
  if [[ "${(t)PATH}" == *readonly* ]]; then
    __shellenv_notice 'PATH is readonly in this shell and stays as it is'
    return 0
  fi
  local VIRTUAL_ENV_DISABLE_PROMPT="${VIRTUAL_ENV_DISABLE_PROMPT:-1}" # there is one marker, ours
  # What the script will change, in case it is interrupted. Nothing is in the log before this, and the
  # end corrects the new values of these two.
  typeset -g __shellenv_ours="$1" __shellenv_new_path="$1/bin:$PATH"
  typeset -ga __shellenv_log=(
    "e${__shellenv_nul}VIRTUAL_ENV${__shellenv_nul}${VIRTUAL_ENV+=}${VIRTUAL_ENV--}${__shellenv_nul}=$1"
    "e${__shellenv_nul}VIRTUAL_ENV_PROMPT${__shellenv_nul}${VIRTUAL_ENV_PROMPT+=}${VIRTUAL_ENV_PROMPT--}${__shellenv_nul}-"
  )
  [[ "$#${PYTHONHOME+x}${functions[deactivate]+x}${functions[pydoc]+x}" == 1 ]] || __shellenv_expect "$@"
  if [[ "${options[warncreateglobal]}${options[warnnestedvar]-}" == *on* ]]; then
    __shellenv_unwarned builtin source "$1/bin/activate"
  else
    builtin source "$1/bin/activate" || :
  fi
  [[ -z "${__shellenv_expected[*]-}" ]] || __shellenv_settle
}

# Run COMMAND without warnings that it sets global variables in a function: that is our doing.
__shellenv_unwarned() {
  local __shellenv_option
  for __shellenv_option in warncreateglobal warnnestedvar; do
    if [[ "${options[$__shellenv_option]-}" == on ]]; then
      builtin unsetopt "$__shellenv_option"
      __shellenv_unwarned "$@"
      builtin setopt "$__shellenv_option"
      return 0
    fi
  done
  "$@" || :
}

# Note what else the activate script of VENV will change. WORD…: as above.
__shellenv_expect() {
  builtin emulate -L zsh
  local word
  local -a reply
  [[ -z ${PYTHONHOME+x} ]] || __shellenv_record e PYTHONHOME "=$PYTHONHOME" -
  for word in deactivate pydoc; do # what every script, or every one of virtualenv's, defines
    (( ! $+functions[$word] )) || __shellenv_expected+=(f $word "!$functions[$word]")
  done
  for word in "${(@)argv[2,-1]}"; do
    case $word in
      v:*) ! __shellenv_inspect ${word#v:} || __shellenv_expected+=(e ${word#v:} "$__shellenv_state") ;;
      a:*) __shellenv_alias_state ${word#a:}; __shellenv_expected+=(a ${word#a:} "$__shellenv_state") ;;
      f:*) __shellenv_expected+=(f ${word#f:} "${functions[${word#f:}]+!}${functions[${word#f:}]--}") ;;
      \*) __shellenv_know; __shellenv_known=($reply); __shellenv_expect_all ;;
    esac
  done
}

# Note all variables of the user's; __shellenv_settle drops those that stay the same.
__shellenv_expect_all() {
  local __shellenv_name
  for __shellenv_name in ${(k)parameters[(R)scalar*]}; do
    case $__shellenv_name:$parameters[$__shellenv_name] in
      (__shellenv_|__SHELLENV_|_OLD_VIRTUAL_|VIRTUAL_ENV)*|*:*(special|readonly|local|hide)*|_:*|(OLD|)PWD:*) ;;
      *) ! __shellenv_inspect $__shellenv_name || __shellenv_expected+=(e $__shellenv_name "$__shellenv_state") ;;
    esac
  done
}

# What has become of the things that an activate script is known to touch, and what else is new?
__shellenv_settle() {
  builtin emulate -L zsh
  local __shellenv_kind __shellenv_name __shellenv_old
  if (( $#__shellenv_known )); then
    local -a reply
    __shellenv_know
    for __shellenv_name in ${reply:|__shellenv_known}; do
      [[ -n ${(M)__shellenv_expected:#${__shellenv_name#?:}} ]] ||
        __shellenv_expected+=(${__shellenv_name%%:*} ${__shellenv_name#?:} -)
    done
  fi
  for __shellenv_kind __shellenv_name __shellenv_old in "${(@)__shellenv_expected}"; do
    case $__shellenv_kind in
      e)
        __shellenv_state="${(P)__shellenv_name+=}${(P)__shellenv_name--}"
        [[ ${__shellenv_old/#\~/=} != "$__shellenv_state" ]] || continue # it has not changed
        ;;
      a) __shellenv_alias_state $__shellenv_name ;;
      f) __shellenv_state='=' ;;
    esac
    __shellenv_record $__shellenv_kind $__shellenv_name "$__shellenv_old" "$__shellenv_state"
  done
  __shellenv_expected=() __shellenv_known=()
}

# The names of all variables, aliases and functions, but for our own and those that every virtual
# environment brings, as e:NAME a:NAME f:NAME into the array reply.
__shellenv_know() {
  reply=(e:${^${(k)parameters}} a:${^${(k)aliases}} f:${^${(k)functions}})
  reply=(${reply:#?:(__shellenv_*|_OLD_VIRTUAL_*|VIRTUAL_ENV*|deactivate|pydoc|reply|_)})
}

# Put the marker TEXT in front of the prompt, unless the user keeps the prompt to themselves.
__shellenv_mark() {
  builtin emulate -L zsh
  [[ -n ${PS1-} && ${(t)PS1} != *readonly* && -z ${SHELLENV_DISABLE_PROMPT-}${DOCKERUTILS_DISABLE_PROMPT-} &&
    -z ${VIRTUAL_ENV:+${VIRTUAL_ENV_DISABLE_PROMPT-}} ]] || return 0
  __shellenv_log+=("m${__shellenv_nul}PS1$__shellenv_nul-$__shellenv_nul=$1")
  PS1=$1$PS1
}

# Code to run on entering and on leaving: ID ENTER LEAVE. It runs once as long as ID stays, and not
# in sub-shells: `$(cd project && pwd)` is no visit.
__shellenv_hook() {
  builtin emulate -L zsh
  __shellenv_record h $1 - "=$3"
  (( ZSH_SUBSHELL == 0 && ! $__shellenv_entered[(Ie)$1] )) || return 0
  __shellenv_entered+=($1)
  __shellenv_queue "$2"
}

# Have CODE, a hook's, run under the user's options. A mistake in one hook is its own.
__shellenv_queue() {
  __shellenv_code+="\\builtin eval ${(qqqq)1} >&2 || \\:"$'\n' # the user's aliases are on when this is read
}

# Say TEXT, unless the last time that changes were made said the same; with WHAT, once in this shell.
__shellenv_notice() {
  builtin emulate -L zsh
  (( ! $__shellenv_saying[(Ie)$1] )) || return 0
  __shellenv_saying+=($1)
  (( ! ZSH_SUBSHELL && ! $__shellenv_said[(Ie)$1] && ! $__shellenv_told[(Ie)${2-$1}] )) || return 0
  __shellenv_told+=(${2-})
  builtin print -ru2 -- "shellenv: $1"
}

# Has a function of the user's, which called cd, a local variable of one of these NAMES? The one that it
# hides can be neither seen nor unset before the function returns: the next prompt is early enough.
__shellenv_waits() {
  builtin emulate -L zsh
  local -a __shellenv_names=(${=1})
  local -a __shellenv_types=(\$\{\(t\)${^__shellenv_names}\})
  [[ ${(e)__shellenv_types} == *local* ]]
}

# Undo what a project, or an older state of it, has done: ROOT, of the project that follows, HOOK-IDS
# (one a line), which stay entered.
__shellenv_undo() {
  local __shellenv_path=''
  # until the end is reached, what follows has not happened
  typeset -g __shellenv_busy=yes __shellenv_key=''
  if [[ -n "$__shellenv_short" && -z "${__shellenv_entered[*]}" ]] && __shellenv_shortcut; then
    if [[ -z "${__shellenv_log[*]}${__shellenv_carry[*]}" && "$PATH" == "$__shellenv_new_path" ]]; then
      [[ "$__shellenv_root" == "$1" ]] || typeset -g __shellenv_declined=''
      return 0
    fi
  else
    __shellenv_depart "$2"
    builtin eval "$__shellenv_code" || :
    # Our environment's own deactivate comes before all else, for what people have added to it. PATH is
    # kept from it, because it would put an old one back and lose the user's edits.
    if [[ -n "$__shellenv_ours" ]]; then
      __shellenv_path="$PATH"
      if [[ "${options[warncreateglobal]}${options[warnnestedvar]-}" == *on* ]]; then
        __shellenv_unwarned deactivate
      else
        deactivate || :
      fi
    fi
  fi
  __shellenv_restore "$1"
}

# All changes are made: this is the state of the shell from now on. Export the log, so that a child
# shell of any kind can undo what it inherits.
__shellenv_end() {
  builtin emulate -L zsh
  local us=$'\x1f' text i
  __shellenv_new_path=$PATH
  if [[ -z $__shellenv_short && $__shellenv_log[1] == e* ]]; then # we have sourced an activate script
    __shellenv_ours=${VIRTUAL_ENV-}
    __shellenv_log[1]="${__shellenv_log[1]%$__shellenv_nul*}$__shellenv_nul${VIRTUAL_ENV+=}${VIRTUAL_ENV--}"
    __shellenv_log[2]="${__shellenv_log[2]%$__shellenv_nul*}$__shellenv_nul${VIRTUAL_ENV_PROMPT+=}${VIRTUAL_ENV_PROMPT--}"
  fi
  __shellenv_key=$__shellenv_entering
  __shellenv_venv=${VIRTUAL_ENV-}
  __shellenv_said=($__shellenv_saying)
  __shellenv_saying=()
  __shellenv_carry=()
  __shellenv_busy=
  [[ -z ${__SHELLENV_UNDO_1+x} ]] || builtin unset -m '__SHELLENV_UNDO_*'

  # Words with a unit separator (0x1f) behind each; in words that contain one, or %, it is percent-encoded.
  local -a words=("$__shellenv_key" "$__shellenv_root")
  [[ $__shellenv_new_path == $__shellenv_old_path ]] ||
    words+=(p PATH "=$__shellenv_old_path" "=$__shellenv_new_path")
  text=${(pj:\0:)words}${__shellenv_log:+$__shellenv_nul}${(pj:\0:)__shellenv_log}
  [[ $text != *%* && $text != *$us* ]] || text=${${text//\%/%25}//$us/%1F}
  text="#${us}1$us${(pj:\x1f:)${(@0)text}}$us$__shellenv_short"
  # One string of the environment holds at most 128 KiB (MAX_ARG_STRLEN of execve(2) on Linux).
  if (( $#text <= 30000 )); then
    typeset -gx __SHELLENV_UNDO=$text
  else
    typeset -gx __SHELLENV_UNDO=$text[1,30000]
    for (( i = 1; $#text > i * 30000; i++ )); do
      typeset -gx __SHELLENV_UNDO_$i=$text[i*30000+1,(i+1)*30000]
    done
  fi
}

# Run the enter code of hooks.
__shellenv_enter() {
  builtin eval "$__shellenv_code" || :
}

# Undo everything; this shell is in no project any more.
__shellenv_leave() {
  [[ "${funcstack[-1]}" == *shellenv* ]] || ! __shellenv_waits "$__shellenv_touched" || return 0
  [[ -z "$__shellenv_root" ]] || __shellenv_undo '' ''
  typeset -g __shellenv_key='' __shellenv_root='' __shellenv_venv="${VIRTUAL_ENV-}" __shellenv_busy=''
  typeset -ga __shellenv_said=() __shellenv_saying=()
  typeset -gA __shellenv_carry=()
  builtin unset __SHELLENV_UNDO
  [[ -z "${__SHELLENV_UNDO_1+x}" ]] || builtin unset -m '__SHELLENV_UNDO_*'
}

# --- the short way -------------------------------------------------------------------------------
#
# Mostly, nothing is in the way of what a project sets, and nothing of that has changed when it is
# left. Then the snippet makes its changes in a row, with one test before, and takes them back in a
# row, with one test before: __shellenv_shortcut, which it defines. No primitive runs and little is
# logged, because what was done follows from the snippet: __shellenv_long says it in records.

# From the short way to the long one: the log that the primitives would have left.
__shellenv_long() {
  builtin emulate -L zsh
  local us=$'\x1f' kind name old new
  local -a words=("${(@ps:\x1f:)__shellenv_short%$us}") log=($__shellenv_log)
  words=("${(@)${(@)words//\%1F/$us}//\%25/%}")
  __shellenv_log=()
  for kind name old new in "${(@)words}"; do
    __shellenv_record $kind $name "$old" "$new"
  done
  __shellenv_log+=($log) # the marker and hooks are newer
  __shellenv_short=
}

# --- undoing -------------------------------------------------------------------------------------

# Before what is in force is undone: what code of the user's is to run? The leave code of all entered
# hooks but KEEP (ids, one a line), into __shellenv_code, and deactivate, if __shellenv_ours is not
# empty afterwards.
__shellenv_depart() {
  builtin emulate -L zsh
  local __shellenv_record __shellenv_keep=$1
  __shellenv_code=
  [[ -z $__shellenv_short ]] || __shellenv_long
  [[ ${VIRTUAL_ENV-} == $__shellenv_venv ]] || __shellenv_follow
  (( ! $#__shellenv_expected )) || __shellenv_settle # it was interrupted

  if (( $#__shellenv_entered )); then
    for __shellenv_record in ${(Oa)${(M)__shellenv_log:#h$__shellenv_nul*}}; do
      builtin set -- "${(@0)__shellenv_record}" # h ID - =CODE
      [[ -n ${(M)__shellenv_entered:#$2} && -z ${(M)${(f)__shellenv_keep}:#$2} ]] || continue
      __shellenv_entered=(${__shellenv_entered:#$2})
      (( ZSH_SUBSHELL )) || __shellenv_queue "${4#=}"
    done
  fi

  if [[ ${VIRTUAL_ENV:-$__shellenv_ours} != $__shellenv_ours ]] || (( ! $+functions[deactivate] )); then
    __shellenv_ours=
    return 0
  fi
  for __shellenv_record in ${(M)__shellenv_log:#[ev]$__shellenv_nul*}; do
    builtin set -- "${(@0)__shellenv_record}" # KIND NAME OLD NEW
    # Still ours, so it goes back whatever deactivate makes of it.
    [[ $3 == - || "${(P)2+=}${(P)2--}" != $4 ]] ||
      __shellenv_log[(ie)$__shellenv_record]=o${__shellenv_record#?}
  done
}

# Put back what the log says, newest first; what was changed by hand since stays as it is. ROOT: of the
# project that follows.
__shellenv_restore() {
  builtin emulate -L zsh -o no_aliases
  local __shellenv_root_after=$1 __shellenv_record
  [[ -z $__shellenv_path ]] || PATH=$__shellenv_path

  # The common case at once: all variables that had been unset still have our values.
  local -a __shellenv_plain=(${(M)__shellenv_log:#v$__shellenv_nul*$__shellenv_nul-$__shellenv_nul=*})
  if [[ -z $__shellenv_docked && -n $__shellenv_plain ]]; then
    local -a __shellenv_names=(${${__shellenv_plain#??}%%$__shellenv_nul*})
    local -a __shellenv_values=(\${${^__shellenv_names}-})
    if [[ "${(pj:\0:e)__shellenv_values}" == "${(pj:\0:)${(@)__shellenv_plain##*$__shellenv_nul=}}" ]]; then
      builtin unset $__shellenv_names
      __shellenv_log=(${__shellenv_log:|__shellenv_plain})
    fi
  fi

  for __shellenv_record in ${(Oa)__shellenv_log}; do
    builtin set -- "${(@0)__shellenv_record}" # KIND NAME OLD NEW
    case $1 in
      [veo])
        if [[ -n $__shellenv_docked ]] && __shellenv_dock_covers $2 "$3" "$4"; then
          : # done beneath
        elif [[ ${(tP)2} == *readonly* ]]; then
          : # became so since
        elif [[ $1 == o || "${(P)2+=}${(P)2--}" == $4 ]]; then
          case $3 in
            -) builtin unset $2 ;;
            '='*) typeset -gx -- $2$3 ;;
            \~*) typeset -g +x -- $2=${3#?} ;;
            *) builtin unset $2; builtin eval ${${3#!}/#typeset /typeset -g } ;;
          esac
        elif [[ $1 == v ]]; then
          __shellenv_carry[$2$4]=$3
        fi
        ;;
      a)
        [[ "${aliases[$2]+=}${aliases[$2]--}" == $4 ]] || continue # redefined since
        case $3 in
          -) builtin unalias -- $2 ;;
          '='*) aliases[$2]=${3#?} ;;
          *) galiases[$2]=${3#?} ;;
        esac
        ;;
      f)
        (( ! $+functions[$2] )) || builtin unfunction -- $2
        [[ $3 != !* ]] || functions[$2]=${3#!}
        ;;
      m)
        [[ ${(t)PS1} != *readonly* ]] || continue
        PS1=${PS1/${4#=}}
        [[ -z ${_OLD_VIRTUAL_PS1-} ]] || _OLD_VIRTUAL_PS1=${_OLD_VIRTUAL_PS1/${4#=}}
        ;;
    esac
  done

  if [[ $__shellenv_old_path != $__shellenv_new_path ]]; then
    if [[ ${(t)PATH} == *readonly* ]]; then
      : # became so since
    elif [[ $PATH == $__shellenv_new_path ]]; then
      PATH=$__shellenv_old_path
    else
      __shellenv_unpath PATH
    fi
    # and what an environment that the user has activated inside will put back
    [[ -z ${_OLD_VIRTUAL_PATH-} ]] || __shellenv_unpath _OLD_VIRTUAL_PATH
  fi

  __shellenv_log=()
  __shellenv_ours=
  [[ $__shellenv_root == $__shellenv_root_after ]] || __shellenv_declined=
  # What was not reached is not what the user has unset.
  [[ $__shellenv_root == $__shellenv_root_after && -z $__shellenv_partly ]] || __shellenv_carry=()
  __shellenv_partly=
}

# The variable NAME holds a PATH that was $__shellenv_old_path and became $__shellenv_new_path, which
# has our entries in front; since then it may have been edited. Take them out, and nothing else.
__shellenv_unpath() {
  local current=:${(P)1}: old=:$__shellenv_old_path: new=:$__shellenv_new_path: front entry
  [[ $new != *$old ]] || front=${${new%$old}#:}:
  if [[ $current == *$new* ]]; then # edited in front and behind only
    current=${current/$new/$old}
  elif [[ -n $front && $current == *:$front* ]]; then
    current=${current/:$front/:}
  else
    for entry in "${(@s.:.)${front:-$new}}"; do
      entry=:$entry:
      # One that the user had before, too, is theirs as long as there is only one.
      if [[ $current == *$entry* && ( $old != *$entry* || ${current#*$entry} == *${entry#:}* ) ]]; then
        current=${current/$entry/:}
      fi
    done
  fi
  current=${current#:}
  typeset -g $1=${current%:}
}

# Take over the log that the environment brings: what it says was done is done in this shell, too.
__shellenv_inherit() {
  local us=$'\x1f' text=${__SHELLENV_UNDO-} part=__SHELLENV_UNDO_1 kind name old new
  while (( ${(P)+part} )); do
    text+=${(P)part}
    part=__SHELLENV_UNDO_$(( ${part##*_} + 1 ))
  done
  local -a words=("${(@ps:\x1f:)text}")
  words=("${(@)${(@)words//\%1F/$us}//\%25/%}")
  [[ $words[2] == 1 ]] || return 0 # nothing, or another version's
  __shellenv_root=$words[4]
  __shellenv_old_path=$PATH
  __shellenv_new_path=$PATH
  for kind name old new in "${(@)words[5,-2]}"; do
    # Aliases, functions and hooks are not inherited, nor are variables that were not exported.
    [[ $kind:$name == ([vem]:[a-zA-Z_]*|p:PATH) && $name != *[^a-zA-Z0-9_]* && $new == (-|=*) ]] || continue
    [[ $old == '='* ]] || old=-
    if [[ $kind == p ]]; then
      __shellenv_old_path=${old#=}
      __shellenv_new_path=${new#=}
    else
      __shellenv_record $kind $name "$old" "$new"
    fi
    if [[ $kind:$name == e:VIRTUAL_ENV ]]; then
      __shellenv_ours=${new#=}
      __shellenv_venv=$__shellenv_ours
    fi
  done
}

# --- triggers ------------------------------------------------------------------------------------

# Before each prompt and after each change of directory: bring the shell up to date. ANEW: whatever is
# in force, ask the program.
__shellenv_update() {
  [[ -z "$__shellenv_docked" || ( -z "$__shellenv_dock_busy" && -e "$__shellenv_dock_at/alive" ) ]] ||
    __shellenv_dock_check
  # In a completion, `cd` is only looking around.
  [[ -z "$__shellenv_paused$__shellenv_busy${compstate+x}" ]] || return 0
  # At the very place that a snippet is for, its guard says all, the settings included: is it applied?
  if [[ -n "$__shellenv_key" && "${1-}${PWD-}" == "$__shellenv_key" && "${VIRTUAL_ENV-}" == "$__shellenv_venv" ]] &&
    __shellenv_fresh; then
    [[ "$__shellenv_resting" != "at $PWD" ]] || __shellenv_expect_prompts
    typeset -g __shellenv_resting="at $PWD"
    return 0
  fi
  if [[ -n "$__shellenv_still_at" && "${1-}${PWD-}" == "$__shellenv_still_at" ]] && __shellenv_still; then
    if [[ "$__shellenv_still_found" == "$__shellenv_key" &&
      ( -z "$__shellenv_root" || "${VIRTUAL_ENV-}" == "$__shellenv_venv" ) ]] &&
      { [[ -z "$__shellenv_root" ]] || __shellenv_fresh; }; then
      [[ "$__shellenv_resting" != "at $PWD" ]] || __shellenv_expect_prompts
      typeset -g __shellenv_resting="at $PWD"
      return 0
    elif [[ -z "$__shellenv_still_found" ]]; then
      typeset -g __shellenv_found=''
      __shellenv_leave || :
      [[ ! -o auto_name_dirs ]] || __shellenv_unname
      return 0
    fi
  fi
  local __shellenv_busy='' __shellenv_next='' __shellenv_asked='' __shellenv_name='' __shellenv_nearest='' \
    __shellenv_venvs=/dev/null/.venv __shellenv_directory="${PWD-}" __shellenv_home="${HOME-}" \
    __shellenv_passed='' __shellenv_from="${PWD-}"
  if [[ -n "$__shellenv_loaded" && "${1-}${PWD-}" == "$__shellenv_loaded" && "$__shellenv_loaded" != "$__shellenv_key" ]] &&
    __shellenv_fresh; then
    typeset -g __shellenv_found="$__shellenv_loaded"
    __shellenv_apply || :
    [[ ! -o auto_name_dirs ]] || __shellenv_unname
    return 0
  fi
  [[ "$__shellenv_home" != /* ]] || __shellenv_venvs="$__shellenv_home/.venv"
  while [[ "$__shellenv_home" == */ ]]; do __shellenv_home="${__shellenv_home%/}"; done
  if [[ -n "${SHELLENV_VENV_DIR-}" || -e "$__shellenv_config/dockerutils.cfg" ||
    -e /etc/shellenv/dockerutils.cfg ]]; then
    __shellenv_settings || __shellenv_ask
    __shellenv_from='' # what they depend on is not in $__shellenv_passed
  fi

  # The nearest directory that may have an environment: from the logical $PWD upward, stopping below
  # $HOME and / (at the end of which, and of //, there is no name). $__shellenv_passed is a test for
  # the paths where there was nothing.
  while __shellenv_name="${__shellenv_directory##*/}" &&
    [[ -n "$__shellenv_name" && "$__shellenv_directory" != "$__shellenv_home" ]]; do
    if [[ -e "$__shellenv_venvs/$__shellenv_name" || -e "$__shellenv_directory/.venv" ||
      -e "$__shellenv_directory/dockerutils.cfg" || -e "$__shellenv_directory/docker/dockerutils.cfg" ||
      -e "$__shellenv_config/projects/$__shellenv_name.cfg" ]]; then
      __shellenv_nearest="$__shellenv_directory"
      break
    fi
    __shellenv_passed+=" && ! -e ${(qq)__shellenv_venvs}/${(qq)__shellenv_name}"
    __shellenv_passed+=" && ! -e ${(qq)__shellenv_config}/projects/${(qq)__shellenv_name}.cfg"
    __shellenv_name="${(qq)__shellenv_directory}"
    __shellenv_passed+=" && ! -e $__shellenv_name/.venv && ! -e $__shellenv_name/dockerutils.cfg"
    __shellenv_passed+=" && ! -e $__shellenv_name/docker/dockerutils.cfg"
    __shellenv_directory="${__shellenv_directory%/*}"
  done
  typeset -g __shellenv_found="$__shellenv_nearest"

  if [[ -n "$__shellenv_asked" ]]; then
    : # for the settings, on which all else depends
  elif [[ -n "${1-}" ]]; then
    __shellenv_ask
  elif [[ -z "$__shellenv_found" ]]; then
    [[ -z "$__shellenv_root" ]] || __shellenv_next=__shellenv_leave
  elif [[ "$__shellenv_found" == "$__shellenv_key" ]] && __shellenv_fresh; then
    [[ "${VIRTUAL_ENV-}" == "$__shellenv_venv" ]] || __shellenv_follow
  elif [[ "$__shellenv_found" == "$__shellenv_loaded" ]] && __shellenv_fresh ||
    __shellenv_load "$__shellenv_found"; then
    __shellenv_next=__shellenv_apply
  else
    __shellenv_ask
  fi
  [[ -z "$__shellenv_asked" ]] || __shellenv_weigh
  [[ -z "$__shellenv_next" ]] || builtin eval "$__shellenv_next" || :
  [[ -n "$__shellenv_asked" || "$__shellenv_found" != "$__shellenv_key" ]] || __shellenv_rest
  [[ ! -o auto_name_dirs ]] || __shellenv_unname
}

# All is done here. Make one test of the walk that has found that out: it takes a third of the time,
# since it is the loop that costs. Its first condition is what the walk depends on besides files.
__shellenv_rest() {
  builtin emulate -L zsh -o no_aliases
  __shellenv_still_at=$__shellenv_from __shellenv_still_found=$__shellenv_found
  [[ -n $__shellenv_from ]] || return 0
  local test='"${HOME-}:${SHELLENV_VENV_DIR-}"'
  test+=" == ${(qq)${:-${HOME-}:}}"
  test+=" && ! -e ${(qq)__shellenv_config}/dockerutils.cfg && ! -e /etc/shellenv/dockerutils.cfg$__shellenv_passed"
  builtin eval "__shellenv_still() { [[ $test ]] }"
}

# Before each prompt. Where nothing was to be done twice in a row, __shellenv_expect_prompts makes one
# test of this: zsh takes as long to call a function as for ten tests.
__shellenv_prompt() {
  __shellenv_update
}

# All is done here, as the walk's test says or the snippet's guard, or both.
__shellenv_expect_prompts() {
  builtin emulate -L zsh -o no_aliases
  local test='"${PWD-}:$__shellenv_key:$__shellenv_root:${VIRTUAL_ENV-}:$__shellenv_paused$__shellenv_busy"'
  test="[[ $test == ${(qq)${:-$PWD:$__shellenv_key:$__shellenv_root:${VIRTUAL_ENV-}:}} &&"
  test+=' ( -z "$__shellenv_docked" || ( -z "$__shellenv_dock_busy" && -e "$__shellenv_dock_at/alive" ) ) ]]'
  [[ $PWD == $__shellenv_key ]] || test+=" && { $functions[__shellenv_still] }"
  [[ -z $__shellenv_key ]] || test+=" && { $functions[__shellenv_fresh] }"
  functions[__shellenv_prompt]="$test || __shellenv_update"
}

# Every variable with a directory is a name for it: ours are none that a prompt should show.
__shellenv_unname() {
  builtin unhash -dm '__shellenv_*' || :
  builtin unhash -dm SHELLENV_ROOT || :
}

# $VIRTUAL_ENV is not what we left: the user has activated or deactivated something by hand.
__shellenv_follow() {
  builtin emulate -L zsh
  if [[ -z ${VIRTUAL_ENV-}$__shellenv_partly && -n $__shellenv_ours && $__shellenv_venv == $__shellenv_ours ]]; then
    __shellenv_declined=$__shellenv_root
  fi
  __shellenv_venv=${VIRTUAL_ENV-}
  # One that was in the way of ours is gone.
  [[ -n ${VIRTUAL_ENV-}$__shellenv_declined ]] || __shellenv_next=__shellenv_apply
}

# Where the virtual environments are, into __shellenv_venvs, when that is not the default; false if
# only the program can say, which reads the configuration.
__shellenv_settings() {
  builtin emulate -L zsh -o no_aliases
  if [[ -n ${SHELLENV_VENV_DIR-} ]]; then
    case $SHELLENV_VENV_DIR:${HOME-} in
      /*) __shellenv_venvs=$SHELLENV_VENV_DIR ;;
      \~:/*|\~/*:/*) __shellenv_venvs=$HOME${SHELLENV_VENV_DIR#\~} ;;
    esac # anything else is none, as the program says
    return 0
  fi
  (( $+functions[__shellenv_settled] )) && __shellenv_settled ||
    { __shellenv_run_file $__shellenv_cache/settings.zsh && __shellenv_settled; }
}

# Load the snippet of DIRECTORY; false if there is none, or it is not fresh.
__shellenv_load() {
  builtin emulate -L zsh -o no_aliases
  __shellenv_loaded=
  __shellenv_run_file $__shellenv_cache/snippets/zsh$1/.snippet && [[ $__shellenv_loaded == $1 ]] && __shellenv_fresh
}

# Run FILE, a snippet or the settings, if it begins with the right line and is the user's own. Its last
# line says for which directory it is, so that it is known to be whole.
__shellenv_run_file() {
  local code
  [[ -O $1 && -f $1 && -r $1 ]] && code=$(<$1) &&
    [[ $code == "# shellenv snippet $__shellenv_version"$'\n'* ]] && builtin eval $code 2>/dev/null
}

# Ask the program, which prints what to do, in its last line, and keeps it for the next time. What came
# of it, into __shellenv_asked.
__shellenv_ask() {
  builtin emulate -L zsh -o no_aliases
  __shellenv_asked=not
  [[ $__shellenv_tried != $PWD ]] || return 0
  local code
  __shellenv_loaded=
  if [[ ! -x $__shellenv_bin ]]; then
    __shellenv_asked=failed
    [[ -n $__shellenv_gone ]] ||
      __shellenv_notice "$__shellenv_bin is gone; install shellenv again, or take its line out of your rc file"
    __shellenv_gone=yes
  elif code=$($__shellenv_bin export zsh); then
    __shellenv_asked=answered
    builtin eval ${code%$'\n'*}
    __shellenv_next=${code##*$'\n'}
  elif (( $? <= 128 )); then # else it was interrupted, under a trap of the user's: again at the next prompt
    __shellenv_asked=failed
  fi
}

# Now that the program was asked, and we have looked around with what it said: what does that mean?
__shellenv_weigh() {
  builtin emulate -L zsh
  __shellenv_found=$__shellenv_nearest # a newer hook that was loaded with it knows nothing
  if [[ $__shellenv_asked == answered && $__shellenv_loaded == $__shellenv_found ]]; then
    __shellenv_tried=
  elif [[ $__shellenv_asked != not ]]; then
    # It has failed and said so, or sees another directory than we do: that will not change by itself.
    __shellenv_tried=$PWD
    [[ $__shellenv_asked == failed && $__shellenv_key == $__shellenv_found ]] || __shellenv_next=__shellenv_leave
  fi
}

# The verbs that change this shell; all others are the program's.
shellenv() {
  case "$#:${1-}" in
    1:reload | 1:pause | 1:resume) "__shellenv_$1" ;;
    *:allow | *:deny)
      "$__shellenv_bin" "$@" || return
      __shellenv_retry
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
  builtin emulate -L zsh -o no_aliases # they are expanded while functions are read, as above
  builtin source $__shellenv_static/dock.zsh
}

# Undo everything and do it anew, hooks included.
__shellenv_reload() {
  __shellenv_leave
  __shellenv_resume anew
}

# Undo everything, and do nothing in this shell until `shellenv resume`.
__shellenv_pause() {
  __shellenv_leave
  typeset -g __shellenv_paused=yes
}

__shellenv_resume() {
  typeset -g __shellenv_paused=''
  __shellenv_retry "$@"
}

__shellenv_retry() {
  typeset -g __shellenv_tried=''
  __shellenv_update "$@"
}

# Be called before all others, so that the prompt's theme sees the environment it is printed for.
__shellenv_install() {
  builtin emulate -L zsh
  typeset -ga precmd_functions chpwd_functions
  precmd_functions=(__shellenv_prompt ${precmd_functions:#__shellenv_(prompt|update)})
  chpwd_functions=(__shellenv_update ${chpwd_functions:#__shellenv_update})
  (( ! $+functions[compdef] )) || compdef __shellenv_dock_complete dock ssh-dock unregister-dock
}

[[ -n ${__shellenv_shell-} ]] || __shellenv_initialize
if [[ ${1-} != --definitions ]]; then # a script may want no more than `shellenv export`
  __shellenv_install
  # A script has no prompt that could notice where it is.
  [[ -o interactive ]] || __shellenv_update
fi

[[ -z $__shellenv_sh_glob ]] || builtin setopt sh_glob
[[ -z $__shellenv_aliases ]] || builtin setopt aliases
