# drive.bash for fish, which has no clock of its own but a `time` that prints to stderr: there,
# `@@NAME+` names what the next report is about.

function fish_prompt
    builtin printf '$ '
end

# What fish does around a command line: preexec, the line, the prompt
function bench_prompt
    emit fish_prompt
end
function bench_in
    emit fish_preexec bench_enter
    bench_enter
    emit fish_prompt
end
function bench_out
    emit fish_preexec bench_leave
    bench_leave
    emit fish_prompt
end

function bench_time
    builtin printf '@@%s+\n' $argv[1] >&2
    time $argv[2]
    if set -q BENCH_TRACE
        builtin printf '@@%s-\n' $argv[1] >&2
    end
end

function bench_expect
    set -l state "$$BENCH_NAME|$VIRTUAL_ENV"
    if test $argv[1] = inside -a "$state" = "$BENCH_STATE" -o $argv[1] = outside -a "$state" = '|'
        return
    end
    builtin printf 'wrong %s: %s\n' $argv[1] "$state" >&2
    exit 3
end

builtin cd $BENCH_OUTSIDE; or exit
bench_prompt
bench_time 'first cd in' bench_in
bench_expect inside
bench_out
bench_expect outside
if test $BENCH_PROMPTS -gt 0
    bench_in
    bench_out
end
for bench_i in (seq $BENCH_PROMPTS)
    bench_time 'idle prompt outside' bench_prompt
end
for bench_i in (seq $BENCH_CDS)
    bench_time 'cd in' bench_in
    bench_time 'cd out' bench_out
    # once more, only to see what the command alone takes
    emit fish_preexec bench_enter
    bench_time 'cd in alone' bench_enter
    emit fish_prompt
    bench_out
end
if test $BENCH_PROMPTS -gt 0
    bench_expect outside
    bench_in
    bench_expect inside
    bench_prompt
end
for bench_i in (seq $BENCH_PROMPTS)
    bench_time 'idle prompt inside' bench_prompt
end
