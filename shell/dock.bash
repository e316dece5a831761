# shellenv for bash: the dock layer, which hook.bash loads when it is first needed.
#
# `dock` has this shell's docker on another machine, `castoff` takes that back. It is a layer of its
# own, with an undo log of its own (records as in hook.bash), and it lies on top of the project's: what
# a project sets of the same variables goes underneath, and is taken back underneath, so that docking,
# casting off, entering and leaving may come in any order. The connection itself is kept by a process
# that `dock` leaves behind; it looks at the files in <connection>/shells to see who is docked.
# shellcheck disable=SC2154 # what hook.bash assigns

# Docked as HOST says: a moniker, an address, [user@]host[:port].
dock() {
  case $#:${1-} in
    1:[!-]*) ;;
    *)
      "$__shellenv_bin" dock "$@" # its help, or what is wrong
      return
      ;;
  esac
  builtin local __shellenv_code __shellenv_pid="${BASHPID:-$$}"
  __shellenv_code=$("$__shellenv_bin" dock --for bash "$__shellenv_pid" "$1") || return
  builtin eval "$__shellenv_code"
}

# Back to where docker was before. Starts no process.
castoff() {
  if [[ $# -gt 0 ]]; then
    "$__shellenv_bin" castoff "$@"
  elif [[ -z $__shellenv_docked ]]; then
    builtin printf 'shellenv: %s\n%s\n' 'this shell is not docked' '"dock HOST" docks it; ls-dock lists those that are known' >&2
    return 1
  elif __shellenv_dock_is_fixed; then
    builtin printf 'shellenv: %s is readonly in this shell, so it stays docked\n%s\n' "$__shellenv_n" \
      'start a new shell' >&2
    return 1
  else
    __shellenv_castoff
  fi
}

# Is one of the variables readonly that casting off would change? Its name, into __shellenv_n.
__shellenv_dock_is_fixed() {
  builtin local __shellenv_i
  for ((__shellenv_i = 0; __shellenv_i < ${#__shellenv_dock_log[@]}; __shellenv_i += 4)); do
    __shellenv_n=${__shellenv_dock_log[__shellenv_i + 1]}
    if [[ ${__shellenv_dock_log[__shellenv_i]} == v ]] && __shellenv_fixed "$__shellenv_n" &&
      [ "=${!__shellenv_n}" = "${__shellenv_dock_log[__shellenv_i + 3]}" ]; then return 0; fi
  done
  return 1
}

# What `dock` has the program print: MONIKER DIRECTORY MARKER and then NAME=VALUE, to be set, or NAME,
# to be cleared. All of it happens, or nothing.
__shellenv_dock() {
  builtin local __shellenv_word __shellenv_n
  if [[ -n $__shellenv_attributes ]]; then
    builtin local - # makes the next line local to this function
    builtin set +u  # asking for the attributes of an unset variable is no mistake
  fi
  for __shellenv_word in "${@:4}"; do
    __shellenv_n=${__shellenv_word%%=*}
    if ! __shellenv_inspect "$__shellenv_n"; then
      builtin printf 'shellenv: %s is readonly in this shell, so it cannot be docked\n%s\n' "$__shellenv_n" \
        'start a new shell' >&2
      if [ "$2" != "$__shellenv_dock_at" ]; then __shellenv_dock_sign "$2" gone; fi
      return 1
    fi
  done
  if [[ -n $__shellenv_docked ]]; then __shellenv_castoff; fi
  __shellenv_docked=$1
  __shellenv_dock_at=$2
  __shellenv_dock_busy=yes
  __shellenv_dock_tried=0
  for __shellenv_word in "${@:4}"; do
    __shellenv_n=${__shellenv_word%%=*}
    __shellenv_inspect "$__shellenv_n"
    case $__shellenv_word in
      *=*)
        __shellenv_dock_log+=(v "$__shellenv_n" "$__shellenv_state" "=${__shellenv_word#*=}")
        case $__shellenv_state in !*) builtin unset -v "$__shellenv_n" ;; esac
        # shellcheck disable=SC2163 # what is in it
        builtin export "$__shellenv_word"
        ;;
      *)
        __shellenv_dock_log+=(v "$__shellenv_n" "$__shellenv_state" -)
        builtin unset -v "$__shellenv_n"
        ;;
    esac
  done
  __shellenv_dock_sign "$2"
  __shellenv_dock_mark "$3"
  __shellenv_dock_publish
  __shellenv_dock_busy=''
}

__shellenv_castoff() {
  builtin local __shellenv_log
  __shellenv_log=(${__shellenv_dock_log[@]+"${__shellenv_dock_log[@]}"})
  __shellenv_dock_busy=yes
  __shellenv_restore '' 2>/dev/null # what became readonly meanwhile stays, and silently
  __shellenv_dock_sign "$__shellenv_dock_at" gone
  builtin unset -v __SHELLENV_DOCK_UNDO
  __shellenv_dock_log=()
  __shellenv_docked=''
  __shellenv_dock_at=''
  __shellenv_dock_busy=''
}

# Sign in at the connection DIRECTORY, or write TEXT there: `gone` signs out.
__shellenv_dock_sign() {
  { builtin printf %s "${2-}" >|"$1/shells/${BASHPID:-$$}"; } 2>/dev/null || :
}

# Put the marker TEXT in front of the prompt, but behind the project's, which comes first whichever was
# there first. INHERITED: it came with the prompt, if it is there.
__shellenv_dock_mark() {
  builtin local __shellenv_i __shellenv_first=''
  for ((__shellenv_i = 0; __shellenv_i < ${#__shellenv_log[@]}; __shellenv_i += 4)); do
    if [[ ${__shellenv_log[__shellenv_i]} == m ]]; then __shellenv_first=${__shellenv_log[__shellenv_i + 3]#=}; fi
  done
  builtin local __shellenv_log
  __shellenv_log=()
  if [[ -n ${2-} && ${PS1-} == *"$1"* ]]; then
    __shellenv_log=(m PS1 - "=$1")
  else
    __shellenv_mark "$1"
    if [[ -n ${__shellenv_log[0]-} && -n $__shellenv_first && $PS1 == *"$__shellenv_first"* ]]; then
      PS1=${PS1#"$1"}
      PS1=${PS1/"$__shellenv_first"/"$__shellenv_first$1"}
    fi
  fi
  __shellenv_dock_log+=(${__shellenv_log[@]+"${__shellenv_log[@]}"})
}

# --- above and below ----------------------------------------------------------------------------

# Is NAME as the dock has made it? Then the project's matters are settled beneath: STATE is what lies
# there from now on, and __shellenv_state what lay there. With EXPECTED, only if that was it.
__shellenv_dock_covers() {
  builtin local __shellenv_d
  for ((__shellenv_d = 0; __shellenv_d < ${#__shellenv_dock_log[@]}; __shellenv_d += 4)); do
    if [ "${__shellenv_dock_log[__shellenv_d + 1]}" != "$1" ]; then continue; fi
    __shellenv_state=${__shellenv_dock_log[__shellenv_d + 2]}
    [ "${!1+=}${!1--}" = "${__shellenv_dock_log[__shellenv_d + 3]}" ] || return
    [ "${3-$__shellenv_state}" = "$__shellenv_state" ] || return
    __shellenv_dock_log[__shellenv_d + 2]=$2
    __shellenv_dock_publish
    return 0
  done
  return 1
}

# --- the undo log for other shells ----------------------------------------------------------------

# Export the log, as __shellenv_publish does: `#`, the version, the moniker, the connection, records.
__shellenv_dock_publish() {
  builtin local IFS="$__shellenv_us" words
  words=("$__shellenv_docked" "$__shellenv_dock_at" "${__shellenv_dock_log[@]}")
  words=("${words[@]//%/%25}")
  words=("${words[@]//"$__shellenv_us"/%1F}")
  builtin export __SHELLENV_DOCK_UNDO="#${IFS}1$IFS${words[*]}$IFS"
}

# Take over the log that the environment brings: this shell is docked, too.
__shellenv_dock_inherit() {
  builtin local i name
  __shellenv_split "$__SHELLENV_DOCK_UNDO"
  if [[ ${__shellenv_words[1]-} != 1 ]]; then return 0; fi # another version's
  for ((i = 4; i + 3 < ${#__shellenv_words[@]}; i += 4)); do
    name=${__shellenv_words[i + 1]}
    case ${__shellenv_words[i]}:$name in
      v:*[!a-zA-Z0-9_]* | v:[0-9]* | v:) continue ;; # no name, but code
      v:*) ;;
      *) continue ;; # the prompt is this shell's own
    esac
    # Variables that were not exported are not inherited.
    if [[ ${__shellenv_words[i + 2]} != =* ]]; then __shellenv_words[i + 2]=-; fi
    __shellenv_dock_log+=("${__shellenv_words[@]:i:4}")
  done
  __shellenv_docked=${__shellenv_words[2]}
  __shellenv_dock_at=${__shellenv_words[3]}
  __shellenv_dock_sign "$__shellenv_dock_at"
  __shellenv_dock_mark "[dock:$__shellenv_docked] " inherited
}

# --- at a prompt ----------------------------------------------------------------------------------

# Something is odd: docking or casting off was interrupted, or nobody keeps the connection any more.
__shellenv_dock_check() {
  if [[ -n $__shellenv_dock_busy ]]; then
    __shellenv_castoff
  elif ((__shellenv_dock_tried++ % 10 == 0)); then # not at every prompt, should that be of no use
    ("$__shellenv_bin" dock --for bash "$$" --again "$__shellenv_dock_at" "$__shellenv_docked" \
      </dev/null >/dev/null 2>&1 &)
  fi
}

# The monikers that begin with the word on the command line.
__shellenv_dock_complete() {
  builtin local IFS=$' \t\n' text name file
  COMPREPLY=()
  if [[ $COMP_CWORD -ne 1 ]]; then return 0; fi
  if [[ -r $__shellenv_config/ssh_config ]]; then
    while builtin read -r text name; do
      if [[ $text == [Hh]ost && $name == "$2"* ]]; then COMPREPLY+=("$name"); fi
    done <"$__shellenv_config/ssh_config"
  fi
  for file in "${HOME-}"/.docker/*/connection_config.txt; do
    if [[ ! -r $file ]]; then continue; fi
    builtin read -r -d '' text <"$file" || : # all of it
    name=${text#*DOCK_MONIKER=}
    if [[ $name == "$text" ]]; then continue; fi
    name=${name%%[[:space:]]*}
    name=${name//[\"\']/}
    if [[ $name != none && $name == "$2"* ]]; then COMPREPLY+=("$name"); fi
  done
}
