# drive.bash for zsh: cd itself calls chpwd_functions, before a prompt come precmd_functions.

zmodload zsh/datetime

bench_prompt() {
  local bench_function
  for bench_function in $precmd_functions; do $bench_function; done
}

bench_mark() {
  if [[ -n ${BENCH_TRACE-} ]]; then builtin printf '@@%s%s\n' $bench_name $1 >&2; fi
}

bench_note() {
  bench_results+=("$1 $(( ($2 - bench_begin) * 1e6 ))")
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
bench_actions=('in first cd in' out)
if (( BENCH_PROMPTS )); then bench_actions+=(in out); fi
repeat $BENCH_PROMPTS; do bench_actions+=('prompt idle prompt outside'); done
repeat $BENCH_CDS; do bench_actions+=('in cd in' 'out cd out'); done
if (( BENCH_PROMPTS )); then bench_actions+=(in prompt); fi
repeat $BENCH_PROMPTS; do bench_actions+=('prompt idle prompt inside'); done

for bench_action in $bench_actions; do
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
  if [[ $bench_name == 'cd in' ]]; then bench_note 'cd in alone' $bench_there; fi
  if [[ $bench_action == *' '* ]]; then bench_note $bench_name $bench_end; fi
done
builtin printf '%s\n' $bench_results
