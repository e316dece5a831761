# drive.bash for zsh: cd itself calls chpwd_functions, before a prompt come precmd_functions.

zmodload zsh/datetime

bench_prompt() {
  local bench_function
  for bench_function in $precmd_functions; do $bench_function; done
}

bench_in() {
  bench_enter
  bench_there=$EPOCHREALTIME
  bench_prompt
}
bench_out() {
  bench_leave
  bench_prompt
}

bench_time() {
  if [[ -n ${BENCH_TRACE-} ]]; then builtin printf '@@%s+\n' "$1" >&2; fi
  bench_begin=$EPOCHREALTIME
  $2
  bench_end=$EPOCHREALTIME
  if [[ -n ${BENCH_TRACE-} ]]; then builtin printf '@@%s-\n' "$1" >&2; fi
  bench_results+=("$1 $(( (bench_end - bench_begin) * 1e6 ))")
}

bench_expect() {
  local state="${(P)BENCH_NAME-}|${VIRTUAL_ENV-}"
  if [[ $1 == inside && $state == $BENCH_STATE || $1 == outside && $state == '|' ]]; then return; fi
  builtin printf 'wrong %s: %s\n' "$1" "$state" >&2
  exit 3
}

PS1='$ '
typeset -F bench_begin bench_end bench_there
bench_results=()
builtin cd $BENCH_OUTSIDE || exit
bench_prompt
bench_time 'first cd in' bench_in
bench_expect inside
bench_out
bench_expect outside
if (( BENCH_PROMPTS )); then bench_in && bench_out; fi
repeat $BENCH_PROMPTS; do
  bench_time 'idle prompt outside' bench_prompt
done
repeat $BENCH_CDS; do
  bench_time 'cd in' bench_in
  bench_results+=("cd in alone $(( (bench_there - bench_begin) * 1e6 ))")
  bench_time 'cd out' bench_out
done
if (( BENCH_PROMPTS )); then
  bench_expect outside
  bench_in
  bench_expect inside
  bench_prompt
fi
repeat $BENCH_PROMPTS; do
  bench_time 'idle prompt inside' bench_prompt
done
builtin printf '%s\n' $bench_results
