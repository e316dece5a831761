# shellenv for zsh: the dock layer, which hook.zsh loads when it is first needed.
#
# `dock` has this shell's docker on another machine, `castoff` takes that back. It is a layer of its
# own, with an undo log of its own (records as in hook.zsh), and it lies on top of the project's: what
# a project sets of the same variables goes underneath, and is taken back underneath, so that docking,
# casting off, entering and leaving may come in any order. The connection itself is kept by a process
# that `dock` leaves behind; it looks at the files in <connection>/shells to see who is docked.

# Docked as HOST says: a moniker, an address, [user@]host[:port].
dock() {
  builtin emulate -L zsh
  local code __shellenv_pid
  if [[ $#:${1-} != 1:[^-]* ]]; then
    $__shellenv_bin dock "$@" # its help, or what is wrong
    return
  fi
  __shellenv_dock_pid
  code=$($__shellenv_bin dock --for zsh $__shellenv_pid "$1") || return
  builtin eval $code
}

# Back to where docker was before. Starts no process.
castoff() {
  builtin emulate -L zsh
  if (( $# )); then
    $__shellenv_bin castoff "$@"
  elif [[ -z $__shellenv_docked ]]; then
    builtin print -ru2 -l -- 'shellenv: this shell is not docked' '"dock HOST" docks it; ls-dock lists those that are known'
    return 1
  elif __shellenv_dock_is_fixed; then
    builtin print -ru2 -l -- "shellenv: $__shellenv_name is readonly in this shell, so it stays docked" \
      'start a new shell'
    return 1
  else
    __shellenv_castoff
  fi
}

# Is one of the variables readonly that casting off would change? Its name, into __shellenv_name.
__shellenv_dock_is_fixed() {
  local __shellenv_record
  for __shellenv_record in $__shellenv_dock_log; do
    builtin set -- "${(@0)__shellenv_record}" # KIND NAME OLD NEW
    typeset -g __shellenv_name=$2
    [[ $1 != v || ${(tP)2} != *readonly* || "=${(P)2}" != $4 ]] || return 0
  done
  return 1
}

# What `dock` has the program print: MONIKER DIRECTORY MARKER and then NAME=VALUE, to be set, or NAME,
# to be cleared. All of it happens, or nothing.
__shellenv_dock() {
  builtin emulate -L zsh
  local __shellenv_word __shellenv_name
  for __shellenv_word in "${(@)argv[4,-1]}"; do
    __shellenv_name=${__shellenv_word%%=*}
    __shellenv_inspect $__shellenv_name && continue
    builtin print -ru2 -l -- "shellenv: $__shellenv_name is $__shellenv_state, so this shell cannot be docked" \
      'start a new shell'
    [[ $2 == $__shellenv_dock_at ]] || __shellenv_dock_sign $2 gone
    return 1
  done
  [[ -z $__shellenv_docked ]] || __shellenv_castoff
  __shellenv_docked=$1 __shellenv_dock_at=$2 __shellenv_dock_busy=yes __shellenv_dock_tried=0
  for __shellenv_word in "${(@)argv[4,-1]}"; do
    __shellenv_name=${__shellenv_word%%=*}
    __shellenv_inspect $__shellenv_name
    if [[ $__shellenv_word == *=* ]]; then
      __shellenv_dock_record v $__shellenv_name "$__shellenv_state" "=${__shellenv_word#*=}"
      [[ $__shellenv_state != !* ]] || builtin unset $__shellenv_name
      typeset -gx -- $__shellenv_word
    else
      __shellenv_dock_record v $__shellenv_name "$__shellenv_state" -
      builtin unset $__shellenv_name
    fi
  done
  __shellenv_dock_sign $2
  __shellenv_dock_mark $3
  __shellenv_dock_publish
  __shellenv_dock_busy=
}

# Add KIND NAME OLD NEW to the log.
__shellenv_dock_record() {
  __shellenv_dock_log+=("${(pj:\0:)@}")
}

__shellenv_castoff() {
  builtin emulate -L zsh
  # What __shellenv_restore works on is the project's, but here
  local __shellenv_root= __shellenv_path= __shellenv_ours= __shellenv_old_path= __shellenv_new_path=
  local -a __shellenv_log=($__shellenv_dock_log)
  __shellenv_dock_busy=yes
  __shellenv_restore ''
  __shellenv_dock_sign $__shellenv_dock_at gone
  builtin unset __SHELLENV_DOCK_UNDO
  __shellenv_dock_log=() __shellenv_docked= __shellenv_dock_at= __shellenv_dock_busy=
}

# Sign in at the connection DIRECTORY, or write TEXT there: `gone` signs out.
__shellenv_dock_sign() {
  local __shellenv_pid
  __shellenv_dock_pid
  { builtin print -rn -- "${2-}" >| $1/shells/$__shellenv_pid } 2>/dev/null || :
}

# This shell's process, into __shellenv_pid. The module brings variables, so only subshells load it.
__shellenv_dock_pid() {
  __shellenv_pid=$$
  (( ZSH_SUBSHELL )) || return 0
  builtin zmodload zsh/system
  __shellenv_pid=$sysparams[pid]
}

# Put the marker TEXT in front of the prompt, but behind the project's, which comes first whichever was
# there first. INHERITED: it came with the prompt, if it is there.
__shellenv_dock_mark() {
  local __shellenv_first=${${(M)__shellenv_log:#m$__shellenv_nul*}[1]##*$__shellenv_nul=}
  local -a __shellenv_log=()
  if [[ -n ${2-} && ${PS1-} == *$1* ]]; then
    __shellenv_record m PS1 - "=$1"
  else
    __shellenv_mark $1
    if (( $#__shellenv_log )) && [[ -n $__shellenv_first && $PS1 == *$__shellenv_first* ]]; then
      PS1=${PS1#$1}
      PS1=${PS1/$__shellenv_first/$__shellenv_first$1}
    fi
  fi
  __shellenv_dock_log+=($__shellenv_log)
}

# --- above and below -----------------------------------------------------------------------------

# Is NAME as the dock has made it? Then the project's matters are settled beneath: STATE is what lies
# there from now on, and __shellenv_state what lay there. With EXPECTED, only if that was it.
__shellenv_dock_covers() {
  builtin emulate -L zsh
  local __shellenv_index=${__shellenv_dock_log[(i)v$__shellenv_nul$1$__shellenv_nul*]}
  (( __shellenv_index <= $#__shellenv_dock_log )) || return
  local -a __shellenv_words=("${(@0)__shellenv_dock_log[__shellenv_index]}") # v NAME OLD NEW
  __shellenv_state=$__shellenv_words[3]
  [[ "${(P)1+=}${(P)1--}" == $__shellenv_words[4] && ${3-$__shellenv_state} == $__shellenv_state ]] || return
  __shellenv_words[3]=$2
  __shellenv_dock_log[__shellenv_index]="${(pj:\0:)__shellenv_words}"
  __shellenv_dock_publish
}

# --- the undo log for other shells ---------------------------------------------------------------

# Export the log, as __shellenv_end does: `#`, the version, the moniker, the connection, records.
__shellenv_dock_publish() {
  builtin emulate -L zsh
  local us=$'\x1f' text="${(pj:\0:)__shellenv_dock_log}"
  text=$__shellenv_docked$__shellenv_nul$__shellenv_dock_at$__shellenv_nul$text
  text=${${text//\%/%25}//$us/%1F}
  typeset -gx __SHELLENV_DOCK_UNDO="#${us}1$us${(pj:\x1f:)${(@0)text}}$us"
}

# Take over the log that the environment brings: this shell is docked, too.
__shellenv_dock_inherit() {
  local us=$'\x1f' kind name old new
  local -a words=("${(@ps:\x1f:)__SHELLENV_DOCK_UNDO}")
  words=("${(@)${(@)words//\%1F/$us}//\%25/%}")
  [[ ${words[2]-} == 1 ]] || return 0 # another version's
  for kind name old new in "${(@)words[5,-2]}"; do
    # The prompt is this shell's own, and variables that were not exported are not inherited.
    [[ $kind:$name == v:[a-zA-Z_]* && $name != *[^a-zA-Z0-9_]* && $new == (-|=*) ]] || continue
    [[ $old == '='* ]] || old=-
    __shellenv_dock_record v $name "$old" "$new"
  done
  __shellenv_docked=$words[3] __shellenv_dock_at=$words[4]
  __shellenv_dock_sign $__shellenv_dock_at
  __shellenv_dock_mark "[dock:$__shellenv_docked] " inherited
}

# --- at a prompt ---------------------------------------------------------------------------------

# Something is odd: docking or casting off was interrupted, or nobody keeps the connection any more.
__shellenv_dock_check() {
  builtin emulate -L zsh
  if [[ -n $__shellenv_dock_busy ]]; then
    __shellenv_castoff
  elif (( __shellenv_dock_tried++ % 10 == 0 )); then # not at every prompt, should that be of no use
    ( $__shellenv_bin dock --for zsh $$ --again $__shellenv_dock_at $__shellenv_docked </dev/null &>/dev/null & )
  fi
}

# Offer the monikers of all docks.
__shellenv_dock_complete() {
  builtin emulate -L zsh -o extended_glob -o null_glob
  local file line
  local -a names=()
  for file in $__shellenv_config/ssh_config ~/.docker/*/connection_config.txt; do
    [[ -r $file ]] || continue
    for line in ${(f)"$(<$file)"}; do
      case $line in
        [Hh]ost\ *) names+=(${line#* }) ;;
        DOCK_MONIKER=*) names+=(${${(Q)line#*=}:#none}) ;;
      esac
    done
  done
  (( CURRENT > 2 )) || compadd -- $names
}
