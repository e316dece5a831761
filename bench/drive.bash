# Times what a tool does at bash's prompts. This becomes part of a script that has loaded the tool, with
# the lines that go in and out in place of bench_enter and bench_leave: they stand in no function, as
# one types them. Prints lines `NAME microseconds`; with BENCH_TRACE set it also marks on stderr, for
# strace, where an action begins and ends.
# shellcheck shell=bash

# What bash runs before it prints a prompt
bench_prompt() {
  local bench_command
  for bench_command in "${PROMPT_COMMAND[@]}"; do eval "$bench_command"; done
}

# An action begins (+) or ends (-).
bench_mark() {
  if [[ -n ${BENCH_TRACE-} ]]; then builtin printf '@@%s%s\n' "$bench_name" "$1" >&2; fi
}

# Note under the name $1 the time from $bench_begin to $2.
bench_note() {
  bench_results+=("$1 $((${2/./} - ${bench_begin/./}))")
}

# Is the environment as it should be?
bench_expect() {
  local state="${!BENCH_NAME-}|${VIRTUAL_ENV-}"
  if [[ $1 == inside && $state == "$BENCH_STATE" || $1 == outside && $state == '|' ]]; then return; fi
  builtin printf 'wrong %s: %s\n' "$1" "$state" >&2
  exit 3
}

PS1='$ '
bench_results=()
builtin cd "$BENCH_OUTSIDE" || exit
bench_prompt
bench_actions=('in first cd in' out)
if ((BENCH_PROMPTS)); then bench_actions+=(in out); fi
for ((bench_i = 0; bench_i < BENCH_PROMPTS; bench_i++)); do bench_actions+=('prompt idle prompt outside'); done
for ((bench_i = 0; bench_i < BENCH_CDS; bench_i++)); do bench_actions+=('in cd in' 'out cd out'); done
if ((BENCH_PROMPTS)); then bench_actions+=(in prompt); fi
for ((bench_i = 0; bench_i < BENCH_PROMPTS; bench_i++)); do bench_actions+=('prompt idle prompt inside'); done

# From Enter to the next prompt
for bench_action in "${bench_actions[@]}"; do
  bench_name=${bench_action#* }
  bench_mark +
  bench_begin=$EPOCHREALTIME
  case $bench_action in
    in*)
      bench_enter
      bench_there=$EPOCHREALTIME
      bench_prompt
      ;;
    out*)
      bench_leave
      bench_prompt
      ;;
    *) bench_prompt ;;
  esac
  bench_end=$EPOCHREALTIME
  bench_mark -
  case $bench_action in
    in*) bench_expect inside ;;
    out*) bench_expect outside ;;
  esac
  if [[ $bench_name == 'cd in' ]]; then bench_note 'cd in alone' "$bench_there"; fi
  if [[ $bench_action == *' '* ]]; then bench_note "$bench_name" "$bench_end"; fi
done
builtin printf '%s\n' "${bench_results[@]}"
