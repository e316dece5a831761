# shellenv for zsh 5.3 and newer: the static half of the hook.
#
# `eval "$(shellenv hook zsh)"` loads this file. It holds two things:
#   primitives  change the shell and write down, first, how to undo the change;
#   triggers    notice that another directory, or another state of one, calls for a change.
# What to change comes from a *snippet*, rendered once by the program and kept on disk; in the
# common case the shell finds and sources it without starting any process.
#
# Two kinds of functions, so that the user's options neither matter nor change:
#   those that begin with `emulate -L zsh` do the work;
#   those that do not are few and small. They call code of the user's (activate scripts, hooks),
#   which runs under the user's own options and may set some. So they quote everything, and no
#   command in them fails: ERR_RETURN or ERR_EXIT may be on.
# Variables that are local where a project's variables are handled begin with __shellenv_, too:
# they would hide a variable of that name.

# Aliases are expanded while functions are *read*: switch that off until the end of this file.
__shellenv_options=
[[ ! -o aliases ]] || __shellenv_options+=' aliases'
[[ ! -o sh_glob ]] || __shellenv_options+=' sh_glob'
\builtin 'setopt' no_aliases no_sh_glob

# What this shell remembers. It survives a second eval of this file.
__shellenv_initialize() {
  emulate -L zsh
  zmodload zsh/parameter
  typeset -g __shellenv_shell=zsh
  typeset -g __shellenv_bin=${__shellenv_bin-shellenv} # the program; set by what loads this file
  typeset -g __shellenv_key=       # the directory whose snippet is applied
  typeset -g __shellenv_root=      # the root of its project
  typeset -g __shellenv_loaded=    # the directory whose snippet is in memory
  typeset -g __shellenv_found=     # the directory that the last look around found
  typeset -g __shellenv_tried=     # a directory that the program could not serve: ask once, not at every prompt
  typeset -g __shellenv_venv=      # $VIRTUAL_ENV as we last saw it
  typeset -g __shellenv_ours=      # the virtual environment that we have activated
  typeset -g __shellenv_declined=  # the root whose environment the user has deactivated
  typeset -g __shellenv_paused=
  typeset -g __shellenv_venvs=     # where virtual environments are
  typeset -g __shellenv_entering=  # the key, while its changes are being made
  typeset -g __shellenv_state=     # what __shellenv_inspect and __shellenv_alias_state found
  typeset -g __shellenv_next=      # what to do next, and
  typeset -g __shellenv_code=      # code of the user's to run: both under the user's options
  typeset -g __shellenv_saved=
  typeset -ga __shellenv_entered=() # the ids of the hooks that were entered
  typeset -ga __shellenv_said=()    # what the last apply said
  typeset -ga __shellenv_saying=()  # what this one says
  typeset -ga __shellenv_known=()   # what there was before an activate script ran, if it may add to that
  # The undo log, oldest first, four words a record: KIND NAME OLD NEW. Kinds: v variable, e variable
  # of a virtual environment, p PATH, a alias, f function, m prompt marker, h hook. States: `-` (unset),
  # `=value` (exported), `~value` (a shell variable; a global alias) or `!declaration` (anything odder).
  typeset -ga __shellenv_log=()
  typeset -gA __shellenv_carry=() # variables changed by hand, carried over a reload: NAME=NEW to OLD
  # The directories of the XDG base directory specification; a relative value counts as unset.
  typeset -g __shellenv_config=${${(M)XDG_CONFIG_HOME:#/*}:-${HOME:-/dev/null}/.config}/shellenv
  typeset -g __shellenv_cache=${${(M)XDG_CACHE_HOME:#/*}:-${HOME:-/dev/null}/.cache}/shellenv
  __shellenv_inherit
}

# --- primitives: what snippets are made of -------------------------------------------------------

# Export variables: NAME VALUE …
__shellenv_set() {
  emulate -L zsh
  local __shellenv_name __shellenv_value __shellenv_state
  for __shellenv_name __shellenv_value; do
    if [[ -z ${(tP)__shellenv_name} ]]; then
      __shellenv_state=-
    elif ! __shellenv_inspect $__shellenv_name; then
      __shellenv_notice "$__shellenv_name is $__shellenv_state and stays as it is"
      continue
    fi
    # Changed by hand, while the project's own value is what it was: that stays over a reload.
    if (( $#__shellenv_carry && ${+__shellenv_carry[$__shellenv_name=$__shellenv_value]} )); then
      __shellenv_state=$__shellenv_carry[$__shellenv_name=$__shellenv_value]
      __shellenv_log+=(v $__shellenv_name "$__shellenv_state" "=$__shellenv_value")
      continue
    fi
    __shellenv_log+=(v $__shellenv_name "$__shellenv_state" "=$__shellenv_value")
    [[ $__shellenv_state != !* ]] || unset $__shellenv_name # an integer would calculate with our value
    typeset -gx "$__shellenv_name=$__shellenv_value"
  done
}

# The state of the variable NAME, into __shellenv_state; false, and why, if it cannot be changed.
__shellenv_inspect() {
  case ${(tP)1}:$1 in
    :*) __shellenv_state=- ;;
    *readonly*) __shellenv_state='readonly in this shell'; return 1 ;;
    (array|association|integer|float)*special*|*:USERNAME) __shellenv_state='special to zsh'; return 1 ;;
    scalar*(left|right|lower|upper)*|^scalar*) __shellenv_state='!'$(typeset -p $1) ;; # rare, and worth a fork
    *export*) __shellenv_state="=${(P)1}" ;;
    *) __shellenv_state="~${(P)1}" ;;
  esac
}

# Put directories in front of PATH, in this order: DIRECTORY …
__shellenv_prepend() {
  emulate -L zsh
  local front=${(j.:.)@}:
  __shellenv_log[4]="=$front$PATH"
  PATH=$front$PATH
  __shellenv_log[4]="=$PATH" # `typeset -U path` may have its say
  # A virtual environment's deactivate puts this one back: it must not lose our entries.
  [[ -z ${_OLD_VIRTUAL_PATH-} ]] || _OLD_VIRTUAL_PATH=$front$_OLD_VIRTUAL_PATH
}

# Define aliases: NAME VALUE …
__shellenv_alias() {
  emulate -L zsh
  local name value
  for name value; do
    __shellenv_alias_state $name
    __shellenv_log+=(a $name "$__shellenv_state" "=$value")
    aliases[$name]=$value
  done
}

# The alias NAME, into __shellenv_state.
__shellenv_alias_state() {
  __shellenv_state="${aliases[$1]+=}${aliases[$1]-${galiases[$1]+~}${galiases[$1]--}}"
}

# Activate the virtual environment VENV by sourcing its own activate script. WORD…: what the script
# is known to touch beyond the usual: v:VARIABLE, a:ALIAS, f:FUNCTION, or * for "it cannot be known".
# One that the user has activated by hand wins, and so does the user's `deactivate`.
__shellenv_activate() {
  [[ -z "${VIRTUAL_ENV-}$__shellenv_declined" ]] || return 0
  local VIRTUAL_ENV_DISABLE_PROMPT="${VIRTUAL_ENV_DISABLE_PROMPT:-1}" # there is one marker, ours
  __shellenv_expect "$@"
  builtin source "$1/bin/activate" || :
  __shellenv_settle
}

# Write down, in case it is interrupted, what the activate script of VENV is about to do. WORD…: as above.
__shellenv_expect() {
  emulate -L zsh
  local word
  __shellenv_ours=$1
  __shellenv_log[4]="=$1/bin:$PATH"
  __shellenv_log+=(
    e VIRTUAL_ENV "${VIRTUAL_ENV+=}${VIRTUAL_ENV--}" "=$1"
    e VIRTUAL_ENV_PROMPT "${VIRTUAL_ENV_PROMPT+=}${VIRTUAL_ENV_PROMPT--}" -
    ${PYTHONHOME+e PYTHONHOME "=$PYTHONHOME" -}
  )
  for word in "$@[2,-1]"; do
    case $word in
      v:*) ! __shellenv_inspect ${word#v:} || __shellenv_log+=(e ${word#v:} "$__shellenv_state" "$__shellenv_state") ;;
      a:*) __shellenv_alias_state ${word#a:}; __shellenv_log+=(a ${word#a:} "$__shellenv_state" "$__shellenv_state") ;;
      f:*) (( $+functions[${word#f:}] )) || __shellenv_log+=(f ${word#f:} - '=') ;;
      \*) __shellenv_know; __shellenv_known=("$reply[@]") ;;
    esac
  done
}

# After an activate script has run: what has become of the things expected?
__shellenv_settle() {
  emulate -L zsh
  local __shellenv_i __shellenv_name
  __shellenv_ours=${VIRTUAL_ENV-}
  __shellenv_log[4]="=$PATH"
  for (( __shellenv_i = 5; __shellenv_i < $#__shellenv_log; __shellenv_i += 4 )); do
    __shellenv_name=$__shellenv_log[__shellenv_i+1]
    case $__shellenv_log[__shellenv_i] in
      e) __shellenv_log[__shellenv_i+3]="${(P)__shellenv_name+=}${(P)__shellenv_name--}" ;;
      a) __shellenv_alias_state $__shellenv_name; __shellenv_log[__shellenv_i+3]=$__shellenv_state ;;
    esac
  done
  (( $#__shellenv_known )) || return 0
  local -a reply
  __shellenv_know
  for __shellenv_name in ${reply:|__shellenv_known}; do
    case $__shellenv_name in
      v:*) __shellenv_log+=(e ${__shellenv_name#v:} - "=${(P)__shellenv_name#v:}") ;;
      a:*) __shellenv_alias_state ${__shellenv_name#a:}; __shellenv_log+=(a ${__shellenv_name#a:} - "$__shellenv_state") ;;
      f:*) __shellenv_log+=(f ${__shellenv_name#f:} - '=') ;;
    esac
  done
  __shellenv_known=()
}

# The names of all variables, aliases and functions, but for our own and those that every virtual
# environment brings, as v:NAME a:NAME f:NAME into the array reply.
__shellenv_know() {
  reply=(v:${^${(k)parameters}} a:${^${(k)aliases}} f:${^${(k)functions}})
  reply=(${reply:#?:(__shellenv_*|_OLD_VIRTUAL_*|VIRTUAL_ENV*|deactivate|pydoc|reply|_)})
}

# Put the marker TEXT in front of the prompt, unless the user keeps the prompt to themselves.
__shellenv_mark() {
  emulate -L zsh
  [[ -n ${PS1-} && -z ${SHELLENV_DISABLE_PROMPT-}${DOCKERUTILS_DISABLE_PROMPT-} &&
    -z ${VIRTUAL_ENV:+${VIRTUAL_ENV_DISABLE_PROMPT-}} ]] || return 0
  __shellenv_log+=(m PS1 - "=$1")
  PS1=$1$PS1
}

# Code to run on entering and on leaving: ID ENTER LEAVE. It runs once as long as ID stays, and not
# in sub-shells: `$(cd project && pwd)` is no visit.
__shellenv_hook() {
  emulate -L zsh
  __shellenv_log+=(h $1 - "=$3")
  (( ! ZSH_SUBSHELL && ! $__shellenv_entered[(Ie)$1] )) || return 0
  __shellenv_entered+=($1)
  __shellenv_run $2
}

# Have CODE of a hook run under the user's options.
__shellenv_run() {
  __shellenv_code+="eval ${(qqqq)1} >&2 || :"$'\n'
}

# Say TEXT, unless the last time that changes were made said the same.
__shellenv_notice() {
  emulate -L zsh
  __shellenv_saying+=($1)
  (( ZSH_SUBSHELL || $__shellenv_said[(Ie)$1] )) || print -ru2 -- "shellenv: $1"
}

# Begin a project's changes: KEY ROOT HOOK-IDS (one a line). What another project, or an older state
# of this one, has done is undone first.
__shellenv_begin() {
  __shellenv_depart "$@"
  eval "$__shellenv_code"
  __shellenv_arrive "$@"
}

# All changes are made: this is the state of the shell from now on.
__shellenv_end() {
  __shellenv_finish
  eval "$__shellenv_code"
}

__shellenv_finish() {
  emulate -L zsh
  __shellenv_key=$__shellenv_entering
  __shellenv_venv=${VIRTUAL_ENV-}
  __shellenv_said=("$__shellenv_saying[@]")
  __shellenv_carry=()
  if [[ $__shellenv_log[3] == $__shellenv_log[4] ]]; then shift 4 __shellenv_log; fi # PATH stays
  __shellenv_publish
}

# --- undoing -------------------------------------------------------------------------------------

# Undo everything; this shell is in no project any more.
__shellenv_leave() {
  __shellenv_begin '' '' ''
  __shellenv_end
}

# Before what is in force is undone, as KEY ROOT HOOK-IDS follow: what code of the user's is to run?
__shellenv_depart() {
  emulate -L zsh
  local __shellenv_kind __shellenv_name __shellenv_old __shellenv_new __shellenv_i
  __shellenv_code=
  __shellenv_follow
  __shellenv_key= # until the end is reached, this has not happened
  [[ -n $__shellenv_root ]] || return 0

  # The leave code of the hooks that do not stay entered
  (( ! $#__shellenv_entered )) || for __shellenv_new __shellenv_old __shellenv_name __shellenv_kind in "${(@Oa)__shellenv_log}"; do
    [[ $__shellenv_kind == h && -n ${(M)__shellenv_entered:#$__shellenv_name} ]] || continue
    [[ -z ${(M)${(f)3}:#$__shellenv_name} ]] || continue
    __shellenv_entered=(${__shellenv_entered:#$__shellenv_name})
    (( ZSH_SUBSHELL )) || __shellenv_run ${__shellenv_new#=}
  done

  # Our virtual environment's own `deactivate`, for what people have added to it. PATH is kept from
  # it, because it would put an old one back and lose the user's edits.
  if [[ -n $__shellenv_ours && ${VIRTUAL_ENV-} == $__shellenv_ours ]] && (( $+functions[deactivate] )); then
    for (( __shellenv_i = 1; __shellenv_i < $#__shellenv_log; __shellenv_i += 4 )); do
      __shellenv_name=$__shellenv_log[__shellenv_i+1]
      if [[ $__shellenv_log[__shellenv_i] == e &&
        "${(P)__shellenv_name+=}${(P)__shellenv_name--}" == $__shellenv_log[__shellenv_i+3] ]]; then
        __shellenv_log[__shellenv_i]=o # ours, whatever deactivate makes of it
      fi
    done
    __shellenv_code+='__shellenv_saved="$PATH"; "deactivate" || :; PATH="$__shellenv_saved"'
  fi
}

# Undo what is in force, and be ready for the changes of KEY ROOT HOOK-IDS.
__shellenv_arrive() {
  emulate -L zsh
  __shellenv_carry=()
  if [[ -n $__shellenv_root ]]; then __shellenv_restore; fi
  if [[ $2 != $__shellenv_root ]]; then
    __shellenv_carry=()
    __shellenv_declined=
  fi
  __shellenv_entering=$1
  __shellenv_root=$2
  __shellenv_log=(p PATH "=$PATH" "=$PATH") # the one record of all changes to PATH
  __shellenv_ours=
  __shellenv_known=()
  __shellenv_saying=()
  __shellenv_code=
}

# Put back what the records say, newest first; what was changed by hand since stays as it is.
__shellenv_restore() {
  local __shellenv_kind __shellenv_name __shellenv_old __shellenv_new
  for __shellenv_new __shellenv_old __shellenv_name __shellenv_kind in "${(@Oa)__shellenv_log}"; do
    case $__shellenv_kind in
      [veo])
        if [[ ${(tP)__shellenv_name} == *readonly* ]]; then
          : # became so since
        elif [[ $__shellenv_kind == o || "${(P)__shellenv_name+=}${(P)__shellenv_name--}" == $__shellenv_new ]]; then
          case $__shellenv_old in
            -) unset $__shellenv_name ;;
            '='*) typeset -gx "$__shellenv_name$__shellenv_old" ;;
            \~*) typeset -g +x "$__shellenv_name=${__shellenv_old#?}" ;;
            *)
              unset $__shellenv_name
              eval "${__shellenv_old/#!typeset /typeset -g }"
              ;;
          esac
        else
          __shellenv_carry[$__shellenv_name$__shellenv_new]=$__shellenv_old
        fi
        ;;
      a)
        __shellenv_alias_state $__shellenv_name
        if [[ $__shellenv_state == $__shellenv_new ]]; then
          case $__shellenv_old in
            -) unalias -- $__shellenv_name ;;
            '='*) aliases[$__shellenv_name]=${__shellenv_old#=} ;;
            *) galiases[$__shellenv_name]=${__shellenv_old#?} ;;
          esac
        fi
        ;;
      p)
        __shellenv_unpath PATH "${__shellenv_old#=}" "${__shellenv_new#=}"
        # and what an environment that the user has activated inside will put back
        [[ -z ${_OLD_VIRTUAL_PATH-} ]] || __shellenv_unpath _OLD_VIRTUAL_PATH "${__shellenv_old#=}" "${__shellenv_new#=}"
        ;;
      m)
        PS1=${PS1/${__shellenv_new#=}}
        [[ -z ${_OLD_VIRTUAL_PS1-} ]] || _OLD_VIRTUAL_PS1=${_OLD_VIRTUAL_PS1/${__shellenv_new#=}}
        ;;
      f) (( ! $+functions[$__shellenv_name] )) || unfunction -- $__shellenv_name ;;
    esac
  done
}

# The variable NAME holds a PATH that was OLD and became NEW, which is OLD with entries in front;
# since then it may have been edited. Take our entries out, and nothing else.
__shellenv_unpath() {
  if [[ ${(P)1} == "$3" ]]; then
    typeset -g "$1=$2"
    return
  fi
  local current=:${(P)1}: old=:$2: new=:$3: front entry
  [[ $3 != *"$2" ]] || front=${3%"$2"}
  if [[ $current == *$new* ]]; then # edited in front and behind only
    current=${current/$new/$old}
  elif [[ -n $front && $current == *:$front* ]]; then
    current=${current/:$front/:}
  else
    for entry in "${(@s.:.)${front:-$3}%:}"; do
      entry=:$entry:
      # One that the user had before, too, is theirs as long as there is only one.
      if [[ $current == *$entry* && ( $old != *$entry* || ${current#*$entry} == *${entry#:}* ) ]]; then
        current=${current/$entry/:}
      fi
    done
  fi
  current=${current#:}
  typeset -g "$1=${current%:}"
}

# --- the undo log for other shells -----------------------------------------------------------------

# Export the log, so that a child shell of any kind can undo what it inherits: its words, with a unit
# separator (0x1f) behind each. In words that contain one, and %, they are percent-encoded.
__shellenv_publish() {
  local us=$'\x1f' text i
  unset -m '__SHELLENV_UNDO*'
  [[ -n $__shellenv_root ]] || return 0
  local -a words=('#' 1 "$__shellenv_key" "$__shellenv_root" "$__shellenv_log[@]")
  if [[ "$words" == *[%$us]* ]]; then words=("${(@)${(@)words//\%/%25}//$us/%1F}"); fi
  text=${(pj:\x1f:)words}$us
  # One string of the environment holds at most 128 KiB (MAX_ARG_STRLEN of execve(2) on Linux).
  typeset -gx __SHELLENV_UNDO=$text[1,30000]
  for (( i = 1; $#text > i * 30000; i++ )); do
    typeset -gx __SHELLENV_UNDO_$i=$text[i*30000+1,(i+1)*30000]
  done
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
  for kind name old new in "$words[@]:4"; do
    [[ $kind:$name == [vepm]:[a-zA-Z_]* ]] || continue # aliases, functions and hooks are not inherited,
    [[ $old == '='* ]] || old=-                          # nor are variables that are not exported
    __shellenv_log+=($kind $name "$old" "$new")
    if [[ $kind:$name == e:VIRTUAL_ENV ]]; then
      __shellenv_ours=${new#=}
      __shellenv_venv=$__shellenv_ours
    fi
  done
}

# --- triggers ------------------------------------------------------------------------------------

# Before each prompt and after each change of directory: bring the shell up to date.
__shellenv_update() {
  __shellenv_decide "$@" || return 0
  eval "$__shellenv_next" || :
}

# What is to be done, if anything, into __shellenv_next. ANEW: whatever is in force, ask the program.
__shellenv_decide() {
  emulate -L zsh -o no_aliases
  [[ -z $__shellenv_paused ]] && (( ! ${+compstate} )) || return # a completion only looks around
  if [[ -n ${SHELLENV_VENV_DIR-} || -e $__shellenv_config/dockerutils.cfg || -e /etc/shellenv/dockerutils.cfg ]]; then
    __shellenv_settings || { __shellenv_ask; return }
  else
    __shellenv_venvs=${HOME:-/dev/null}/.venv
  fi

  # The nearest directory that may have an environment: from the logical $PWD upward, stopping below
  # $HOME and /.
  local directory=$PWD home=${${HOME-}%/} name
  __shellenv_found=
  while [[ -n $directory && $directory != $home ]]; do
    name=${directory##*/}
    if [[ -e $__shellenv_venvs/$name || -e $directory/.venv || -e $directory/dockerutils.cfg ||
      -e $directory/docker/dockerutils.cfg || -e $__shellenv_config/projects/$name.cfg ]]; then
      __shellenv_found=$directory
      break
    fi
    directory=${directory%/*}
  done

  if [[ -n ${1-} ]]; then
    __shellenv_ask
  elif [[ -z $__shellenv_found ]]; then
    __shellenv_next=__shellenv_leave
    [[ -n $__shellenv_root ]]
  elif [[ $__shellenv_found == $__shellenv_key ]] && __shellenv_fresh; then
    __shellenv_next=__shellenv_apply
    __shellenv_follow && [[ -z ${VIRTUAL_ENV-}$__shellenv_declined ]]
  elif [[ $__shellenv_found == $__shellenv_loaded ]] && __shellenv_fresh || __shellenv_load $__shellenv_found; then
    __shellenv_next=__shellenv_apply
  else
    __shellenv_ask
  fi
}

# If $VIRTUAL_ENV is not what we left, the user has activated or deactivated something by hand.
__shellenv_follow() {
  [[ ${VIRTUAL_ENV-} != $__shellenv_venv ]] || return
  if [[ -z ${VIRTUAL_ENV-} && -n $__shellenv_ours && $__shellenv_venv == $__shellenv_ours ]]; then
    __shellenv_declined=$__shellenv_root
  fi
  __shellenv_venv=${VIRTUAL_ENV-}
}

# Where the virtual environments are, into __shellenv_venvs, when that is not the default; false if
# only the program can say, which reads the configuration.
__shellenv_settings() {
  if [[ -n ${SHELLENV_VENV_DIR-} ]]; then
    __shellenv_venvs=${SHELLENV_VENV_DIR/#\~\//${HOME-}/}
    return
  fi
  (( $+functions[__shellenv_settled] )) && __shellenv_settled ||
    { __shellenv_source $__shellenv_cache/settings.zsh && __shellenv_settled }
}

# Run FILE, a snippet or the settings, if it is whole enough to begin with the right line and is the
# user's own; its last line says for which directory it is.
__shellenv_source() {
  local code
  [[ -O $1 && -r $1 ]] && code=$(<$1) && [[ $code == '# shellenv snippet 1'$'\n'* ]] && eval "$code" 2>/dev/null
}

# Load the snippet of DIRECTORY; false if there is none, or it is not fresh.
__shellenv_load() {
  __shellenv_loaded=
  __shellenv_source $__shellenv_cache/snippets/zsh$1/.snippet
  [[ $__shellenv_loaded == $1 ]] && __shellenv_fresh
}

# Ask the program, which prints what to do, in the end, and keeps it for the next time.
__shellenv_ask() {
  [[ $__shellenv_tried != $PWD ]] || return
  __shellenv_loaded=
  local code
  if [[ ! -x $__shellenv_bin ]]; then
    __shellenv_notice "$__shellenv_bin is gone; install shellenv again, or take its line out of your rc file"
  elif code=$($__shellenv_bin export zsh); then
    __shellenv_next=${code##*$'\n'}
    eval ${code%$'\n'*}
  fi
  # It has failed and said so, or sees another directory than we do: that will not change by itself.
  if [[ $__shellenv_loaded == $__shellenv_found ]]; then __shellenv_tried=; else __shellenv_tried=$PWD; fi
  [[ -n $code ]]
}

# The verbs that change this shell; all others are the program's.
shellenv() {
  case "$#:${1-}" in
    1:reload | 1:pause | 1:resume) "__shellenv_$1" ;;
    *:allow | *:deny)
      "$__shellenv_bin" "$@" || return
      __shellenv_resume
      ;;
    *) "$__shellenv_bin" "$@" ;;
  esac
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
  typeset -g __shellenv_paused= __shellenv_tried=
  __shellenv_update "$@"
}

# Be called before all others, so that a prompt's theme sees the environment that it is printed for.
__shellenv_install() {
  emulate -L zsh
  typeset -ga precmd_functions chpwd_functions
  precmd_functions=(__shellenv_update ${precmd_functions:#__shellenv_update})
  chpwd_functions=(__shellenv_update ${chpwd_functions:#__shellenv_update})
}

[[ -n ${__shellenv_shell-} ]] || __shellenv_initialize
if [[ ${1-} != --definitions ]]; then # a script may want no more than `shellenv export`
  __shellenv_install
  # A script has no prompt that could notice where it is.
  [[ -o interactive ]] || __shellenv_update
fi

[[ -z $__shellenv_options ]] || \builtin 'setopt' ${=__shellenv_options}
unset __shellenv_options
