# shellenv for fish: the dock layer, which hook.fish loads when it is first needed.
#
# `dock` has this shell's docker on another machine, `castoff` takes that back. It is a layer of its
# own, with an undo log of its own (records of the tag d, as in hook.fish), and it lies on top of the
# project's: what a project sets of the same variables goes underneath, and is taken back underneath,
# so that docking, casting off, entering and leaving may come in any order. The connection itself is
# kept by a process that `dock` leaves behind; it looks at the files in <connection>/shells to see who
# is docked.

# Docked as HOST says: a moniker, an address, [user@]host[:port].
function dock --description 'Have this shell\'s docker on another machine'
    if test (builtin count $argv) -ne 1; or string match -q -- '-*' "$argv[1]"
        $__shellenv_bin dock $argv # its help, or what is wrong
        return
    end
    set -l code ($__shellenv_bin dock --for fish $fish_pid $argv[1])
    or return
    eval $code
end

# Back to where docker was before. Starts no process.
function castoff --description 'Have this shell\'s docker where it was before'
    if set -q argv[1]
        $__shellenv_bin castoff $argv
    else if test -z "$__shellenv_docked"
        builtin printf 'shellenv: %s\n%s\n' 'this shell is not docked' \
            '"dock HOST" docks it; ls-dock lists those that are known' >&2
        return 1
    else
        __shellenv_castoff
    end
end

# What `dock` has the program print: MONIKER DIRECTORY MARKER and then NAME=VALUE, to be set, or NAME,
# to be cleared.
function __shellenv_dock --argument-names moniker directory marker
    test -n "$__shellenv_docked"
    and __shellenv_castoff
    set -g __shellenv_docked $moniker
    set -g __shellenv_dock_at $directory
    set -g __shellenv_dock_marker $marker
    set -g __shellenv_dock_tried 0
    set -g __shellenv_lost -n yes # should this be interrupted
    for word in $argv[4..-1]
        set -l parts (string split -m 1 = -- $word)
        set -l name $parts[1]
        __shellenv_remember d $name
        if set -q parts[2]
            set -gx $name $parts[2]
        else if set -qU $name # nothing global hides it but a value; docker takes an empty one for none
            set -gx $name ''
        else
            set -eg $name
        end
        set -g __shellenv_new_d$name -
        set -qg $name
        and set -g __shellenv_new_d$name "=$$name"
    end
    __shellenv_dock_sign
    __shellenv_dock_show
    __shellenv_dock_publish
    set -g __shellenv_lost ! -e $directory/alive
    return 0
end

function __shellenv_castoff
    set -g __shellenv_lost -n yes
    __shellenv_restore d '' $__shellenv_dock_names[-1..1]
    set -g __shellenv_dock_names
    __shellenv_dock_hide
    set -g __shellenv_dock_marker ''
    __shellenv_dock_sign gone
    set -eg __SHELLENV_DOCK_UNDO
    set -g __shellenv_docked ''
    set -g __shellenv_dock_at ''
    set -g __shellenv_lost -n ''
    return 0
end

# Sign in at the connection, or write TEXT there: `gone` signs out.
function __shellenv_dock_sign
    test -w $__shellenv_dock_at/shells
    and builtin printf %s $argv >$__shellenv_dock_at/shells/$fish_pid
end

# --- the marker ----------------------------------------------------------------------------------

# Show the marker in front of the prompt. The project's marker, where there is one, brings it along
# (see __shellenv_mark); else this layer needs a function of its own.
function __shellenv_dock_show
    test -n "$__shellenv_dock_shown"; or builtin contains fish_mode_prompt $__shellenv_functions
    and return
    status is-interactive
    or return
    test -z "$SHELLENV_DISABLE_PROMPT$DOCKERUTILS_DISABLE_PROMPT"
    or return
    set -g __shellenv_dock_shown yes
    builtin functions -q fish_mode_prompt
    and builtin functions -c fish_mode_prompt __shellenv_docks_fish_mode_prompt
    function fish_mode_prompt --description 'The mode of vi\'s keys, and the dock'
        builtin functions -q __shellenv_docks_fish_mode_prompt
        and __shellenv_docks_fish_mode_prompt
        builtin printf %s $__shellenv_dock_marker
    end
end

# Take the function away, and bring back what it has hidden.
function __shellenv_dock_hide
    test -n "$__shellenv_dock_shown"
    or return
    set -g __shellenv_dock_shown ''
    builtin functions -e fish_mode_prompt
    builtin functions -q __shellenv_docks_fish_mode_prompt
    or return
    builtin functions -c __shellenv_docks_fish_mode_prompt fish_mode_prompt
    builtin functions -e __shellenv_docks_fish_mode_prompt
end

# --- above and below -----------------------------------------------------------------------------

# Does the dock hold NAME, as it has made it?
function __shellenv_dock_covers --argument-names name
    builtin contains -- $name $__shellenv_dock_names
    and __shellenv_same d $name
end

# A project sets NAME to VALUE: that goes beneath, with the record of what lay there before.
function __shellenv_dock_set_beneath --argument-names name value
    for part in how old
        set -l beneath __shellenv_$part\_d$name
        set -q $beneath
        and set -g __shellenv_$part\_v$name $$beneath
    end
    set -g __shellenv_new_v$name "=$value"
    __shellenv_record v $name
    set -g __shellenv_how_d$name =
    set -g __shellenv_old_d$name $value
    __shellenv_dock_publish
end

# A project takes NAME back: what lay there before it lies there again. False if what lies there is
# not the project's.
function __shellenv_dock_put_beneath --argument-names name
    set -l how __shellenv_how_d$name
    set -l old __shellenv_old_d$name
    set -l new __shellenv_new_v$name
    test "x$$how$$old" = "x$$new"
    or return
    set -e $old
    for part in how old
        set -l before __shellenv_$part\_v$name
        set -q $before
        and set -g __shellenv_$part\_d$name $$before
    end
    __shellenv_dock_publish
end

# --- the undo log for other shells ---------------------------------------------------------------

# Export the log, as __shellenv_publish does: `#`, the version, the moniker, the connection, records.
function __shellenv_dock_publish
    set -l text ''
    set -l words '#' 1 $__shellenv_docked $__shellenv_dock_at
    for name in $__shellenv_dock_names
        __shellenv_words d $name
        set -a words v $__shellenv_words[2..-1]
    end
    for word in $words
        __shellenv_replace $word % %25
        __shellenv_replace $__shellenv_replaced $__shellenv_us %1F
        set text $text$__shellenv_replaced$__shellenv_us
    end
    set -gx __SHELLENV_DOCK_UNDO $text
end

# Take over the log that the environment brings: this shell is docked, too.
function __shellenv_dock_inherit
    set -l words
    for word in (string split -- $__shellenv_us $__SHELLENV_DOCK_UNDO)
        __shellenv_replace $word %1F $__shellenv_us
        __shellenv_replace $__shellenv_replaced %25 %
        set -a words $__shellenv_replaced
    end
    test "$words[2]" = 1
    or return # another version's
    set -g __shellenv_docked $words[3]
    set -g __shellenv_dock_at $words[4]
    set -g __shellenv_dock_marker "[dock:$words[3]] "
    set -g __shellenv_lost ! -e $__shellenv_dock_at/alive
    set -e words[1..4]
    while set -q words[4]
        test $words[1] = v
        and __shellenv_take_variable d $words[2..4]
        set -e words[1..4]
    end
    __shellenv_dock_sign
    __shellenv_dock_show
end

# --- at a prompt ---------------------------------------------------------------------------------

# Something is odd: docking or casting off was interrupted, or nobody keeps the connection any more.
function __shellenv_dock_check
    test -n "$__shellenv_docked"
    or return
    if test "$__shellenv_lost" = '-n yes'
        __shellenv_castoff
    else
        if test (builtin math $__shellenv_dock_tried % 10) -eq 0 # not at every prompt, should that be of no use
            command sh -c '"$@" </dev/null >/dev/null 2>&1 &' sh \
                $__shellenv_bin dock --for fish $fish_pid --again $__shellenv_dock_at $__shellenv_docked
        end
        set -g __shellenv_dock_tried (builtin math $__shellenv_dock_tried + 1)
    end
end

# The monikers of all docks, a line each.
function __shellenv_dock_monikers
    for file in $__shellenv_config/ssh_config ~/.docker/*/connection_config.txt
        test -r $file
        and string replace -rf '^(?:[Hh]ost |DOCK_MONIKER=)["\']?(?!none)([^"\']+).*' '$1' <$file
    end
end
