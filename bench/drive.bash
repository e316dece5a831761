# Times what a tool does at bash's prompts. What sources this has loaded the tool and defined
# bench_enter and bench_leave. Prints lines `NAME microseconds`; with BENCH_TRACE set it also marks
# on stderr, for strace, where an action begins and ends.
# shellcheck shell=bash

# What bash runs before it prints a prompt
bench_prompt() {
  local bench_command
  for bench_command in "${PROMPT_COMMAND[@]}"; do eval "$bench_command"; done
}

# From Enter to the next prompt
bench_in() {
  bench_enter
  bench_there=$EPOCHREALTIME
  bench_prompt
}
bench_out() {
  bench_leave
  bench_prompt
}

# Call the function $2 and note under the name $1 how long that took.
bench_time() {
  if [[ -n ${BENCH_TRACE-} ]]; then builtin printf '@@%s+\n' "$1" >&2; fi
  bench_begin=$EPOCHREALTIME
  "$2"
  bench_end=$EPOCHREALTIME
  if [[ -n ${BENCH_TRACE-} ]]; then builtin printf '@@%s-\n' "$1" >&2; fi
  bench_results+=("$1 $((${bench_end/./} - ${bench_begin/./}))")
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
bench_time 'first cd in' bench_in
bench_expect inside
bench_out
bench_expect outside
if ((BENCH_PROMPTS)); then bench_in && bench_out; fi
for ((bench_i = 0; bench_i < BENCH_PROMPTS; bench_i++)); do
  bench_time 'idle prompt outside' bench_prompt
done
for ((bench_i = 0; bench_i < BENCH_CDS; bench_i++)); do
  bench_time 'cd in' bench_in
  bench_results+=("cd in alone $((${bench_there/./} - ${bench_begin/./}))")
  bench_time 'cd out' bench_out
done
if ((BENCH_PROMPTS)); then
  bench_expect outside
  bench_in
  bench_expect inside
  bench_prompt
fi
for ((bench_i = 0; bench_i < BENCH_PROMPTS; bench_i++)); do
  bench_time 'idle prompt inside' bench_prompt
done
builtin printf '%s\n' "${bench_results[@]}"
