# shellenv for fish 3.1 and newer: the static half of the hook.
#
# `shellenv hook fish | source` loads this file. It holds two things:
#   primitives  change the shell and write down, first, how to undo the change;
#   triggers    notice that another directory, or another state of one, calls for a change.
# What to change comes from a *snippet*, rendered once by the program and kept on disk; in the
# common case the shell finds and sources it without starting any process.
#
# A command substitution costs as much as thirty builtins, so there is none at an idle prompt, and
# values never pass through one: it would split them at newlines. `set` neither fails nor succeeds,
# it leaves $status alone; `test` takes some values for operators, hence the x in front of them.
# All names begin with __shellenv_. Builtins that a user's function may hide are called as such.

set -g __shellenv_version 5 # of what snippets call: shellenv/shells.py has it, too
if not set -q __shellenv_shell # the first time in this shell; the state survives a second time
    set -g __shellenv_shell fish
    set -q __shellenv_bin # the program; set by what loads this file
    or set -g __shellenv_bin shellenv
    set -g __shellenv_key '' # the directory whose snippet is applied
    set -g __shellenv_root '' # the root of its project
    set -g __shellenv_loaded '' # the directory whose snippet is in memory
    set -g __shellenv_found '' # the directory that the last look around found
    set -g __shellenv_seen '' # what that depends on, besides files
    set -g __shellenv_rest '' # the last place where nothing was found, and what that depends on, besides files
    set -g __shellenv_rest_probe # and the files
    set -g __shellenv_guard __shellenv_none # see __shellenv_prompt
    set -g __shellenv_probe
    set -g __shellenv_overrides '' # see __shellenv_fresh
    set -g __shellenv_watch -n yes
    set -g __shellenv_settings '' # see __shellenv_settle
    set -g __shellenv_unset -n yes
    set -g __shellenv_tried '' # a directory that the program could not serve: ask once, not at every prompt
    set -g __shellenv_venv '' # $VIRTUAL_ENV as we last saw it
    set -g __shellenv_ours '' # the virtual environment that we have activated
    set -g __shellenv_standard '' # does its deactivate put back all that its activate has touched?
    set -g __shellenv_declined '' # the root whose environment the user has deactivated
    # The variables that the snippet in force is about. A function that calls us gets copies of those
    # that are local and exported in its caller; before they are looked at, they are erased (all at
    # once, which takes fish 3.2).
    set -g __shellenv_touched PATH
    set -g __shellenv_said # what the last apply said
    set -g __shellenv_saying # what this one says
    set -g __shellenv_told # what was said for good
    set -g __shellenv_paused '' # the user wants no changes
    set -g __shellenv_busy '' # changes are being made: the user's code in them may cd
    set -g __shellenv_gone '' # the user knows that the program is gone
    set -g __shellenv_inherited '' # the undo log of the environment was looked at
    # The undo log: the names of what was changed, oldest first. For a variable NAME of the project
    # (v) or of its virtual environment (e) there are also
    #   __shellenv_how_vNAME  how it was: - (not set), = (exported), ~ (not exported), U (universal)
    #   __shellenv_old_vNAME  what it was, as a list
    #   __shellenv_new_vNAME  what it became: - (not set) or =TEXT
    # and for a function that has hidden one of the user's, that one as __shellenv_users_NAME.
    set -g __shellenv_variables
    set -g __shellenv_environment
    set -g __shellenv_short # if the short way was taken: the records, as published, of the variables it has set
    set -g __shellenv_partly '' # is it being taken, in or back, or was it interrupted?
    set -g __shellenv_path # what PATH was and what it became; nothing if it stayed
    set -g __shellenv_functions # the names of aliases and of the prompt
    set -g __shellenv_hidden # those of them that have hidden one of the user's
    set -g __shellenv_shown # all of them as they were defined
    set -g __shellenv_wraps # the aliases that have completions, each with what it completes like
    set -g __shellenv_hooks # ID and LEAVE of each hook
    set -g __shellenv_entered # the ids of those that were entered
    set -g __shellenv_marks # the prompt markers that another shell has left in $PS1
    set -g __shellenv_carry # variables that the user changed by hand, carried over a reload
    # The dock layer, of which dock.fish has the rest
    set -g __shellenv_docked '' # the moniker of the dock
    set -g __shellenv_dock_at '' # the directory of the connection to it
    set -g __shellenv_dock_names # its own undo log: records of the tag d
    set -g __shellenv_dock_marker '' # what it shows in the prompt
    set -g __shellenv_dock_shown '' # by a function of its own
    set -g __shellenv_dock_tried 0 # at how many prompts there was no connection
    set -g __shellenv_lost -n '' # true if it is, or if docking was interrupted
end

set -g __shellenv_defined '' # see __shellenv_end
set -g __shellenv_us \x1f
set -g __shellenv_none -n '' # words of a `test` that fails
# `test -nt` came with fish 3.6. Before it, no snippet is ever fresh: in a project the program is asked
# at every prompt, which is exact but slow.
set -g __shellenv_timeless ''
string match -qr '^[0-2]\.|^3\.[0-5]\b' -- $version
and set -g __shellenv_timeless yes

# The directories of the XDG base directory specification; a relative value counts as unset.
set -g __shellenv_config /dev/null/shellenv
set -g __shellenv_cache /dev/null/shellenv
if string match -q '/*' -- "$HOME"
    set __shellenv_config $HOME/.config/shellenv
    set __shellenv_cache $HOME/.cache/shellenv
end
string match -q '/*' -- "$XDG_CONFIG_HOME"
and set __shellenv_config "$XDG_CONFIG_HOME/shellenv"
string match -q '/*' -- "$XDG_CACHE_HOME"
and set __shellenv_cache "$XDG_CACHE_HOME/shellenv"

# --- primitives: what snippets are made of -------------------------------------------------------

# Export variables: NAME VALUE …
function __shellenv_set
    while set -q argv[2]
        if test -n "$__shellenv_docked"; and __shellenv_dock_covers $argv[1]
            __shellenv_dock_set_beneath $argv[1] $argv[2]
        else if not __shellenv_carried $argv[1] $argv[2]
            __shellenv_remember v $argv[1]
            set -g __shellenv_new_v$argv[1] "=$argv[2]"
            if builtin true; and set -gx $argv[1] $argv[2] 2>/dev/null
                set -g __shellenv_new_v$argv[1] "=$$argv[1]" # a list of paths may read differently
            else
                __shellenv_forget v $argv[1]
                set -eg __shellenv_variables[-1]
                __shellenv_notice "$argv[1] is readonly in this shell and stays as it is"
            end
        end
        set -e argv[1..2]
    end
end

# Write down how the variable NAME is before it changes: TAG NAME, TAG being v, e or d.
function __shellenv_remember --argument-names __shellenv_tag __shellenv_name
    set -el $__shellenv_name # see __shellenv_touched
    set -l __shellenv_how __shellenv_how_$__shellenv_tag$__shellenv_name
    set -l __shellenv_old __shellenv_old_$__shellenv_tag$__shellenv_name
    if set -qg $__shellenv_name
        set -g $__shellenv_how '~'
        set -qgx $__shellenv_name
        and set -g $__shellenv_how =
        set -g $__shellenv_old $$__shellenv_name
        test "x$$__shellenv_old" = "x$$__shellenv_name" # or it is a list of paths, joined by colons
        or set -g --path $__shellenv_old $$__shellenv_name
    else if set -qUx $__shellenv_name
        set -g $__shellenv_how U
        set -g $__shellenv_old $$__shellenv_name
    else
        set -g $__shellenv_how -
    end
    __shellenv_record $__shellenv_tag $__shellenv_name
end

# Append NAME to the log: TAG NAME.
function __shellenv_record --argument-names tag name
    switch $tag
        case v
            set -ga __shellenv_variables $name
        case e
            set -ga __shellenv_environment $name
        case d
            set -ga __shellenv_dock_names $name
    end
end

# Drop what was written down: TAG NAME.
function __shellenv_forget --argument-names tag name
    set -eg __shellenv_how_$tag$name
    set -eg __shellenv_old_$tag$name
    set -eg __shellenv_new_$tag$name
end

# Does NAME still have the value that we gave it? TAG NAME.
function __shellenv_same --argument-names __shellenv_tag __shellenv_name
    set -l __shellenv_new __shellenv_new_$__shellenv_tag$__shellenv_name
    if set -qg $__shellenv_name
        test "x=$$__shellenv_name" = "x$$__shellenv_new"
    else
        test "x$$__shellenv_new" = x-
    end
end

# Did the user change NAME by hand, while the project's own value for it, VALUE, is what it was? Then
# the change stays over the reload, and so does the record under it.
function __shellenv_carried --argument-names name value
    builtin contains -- $name $__shellenv_carry
    or return
    set -l new __shellenv_new_v$name
    test "x$$new" = "x=$value"
    and __shellenv_record v $name
end

# Put directories in front of PATH, in this order: DIRECTORY …
function __shellenv_prepend
    __shellenv_path_becomes $argv $PATH
    set -gx PATH $argv $PATH
    set -g __shellenv_path[2] "$PATH"
    # A virtual environment's deactivate puts this one back: it must not lose our entries.
    test -n "$_OLD_VIRTUAL_PATH"
    and set -g _OLD_VIRTUAL_PATH $argv $_OLD_VIRTUAL_PATH
end

# Note, once for all of the project's entries, what PATH was and is about to become: ENTRY …
function __shellenv_path_becomes
    set -l --path new $argv
    set -q __shellenv_path[1]
    or set -g __shellenv_path "$PATH"
    set -g __shellenv_path $__shellenv_path[1] "$new"
end

# Define aliases, which are functions in fish: NAME VALUE …
function __shellenv_alias
    while set -q argv[2]
        __shellenv_define $argv[1] $argv[2]
        or __shellenv_notice "$argv[1] cannot be an alias for: $argv[2]"
        set -e argv[1..2]
    end
end

# Define one alias as fish's own `alias` would: NAME VALUE.
function __shellenv_define --argument-names name value
    set -l prefix
    set -l wraps --wraps $value
    if not string match -q -- "*$name*" $value
        # The usual case: it does not mention itself
    else if string match -q -- "$name *" "$value "; and builtin contains -- $name (string split ' ' $value)[1]
        # It calls what it hides
        set prefix 'command '
        builtin contains -- $name (builtin -n)
        and set prefix 'builtin '
        set wraps
    else if string match -q -- "* $name" $value
        set wraps # its completions would go in circles (sudo)
    end
    __shellenv_hide $name
    eval "function \$name \$wraps --description \"alias \$name=\$value\"
    $prefix$value \$argv
end" 2>/dev/null
    or return
    set -q wraps[2]
    and set -ga __shellenv_wraps $name $value
    return 0
end

# Keep the user's function NAME, if there is one; a function of ours is about to hide it.
function __shellenv_hide --argument-names name
    builtin contains -- $name $__shellenv_functions
    and return
    set -ga __shellenv_functions $name
    builtin functions -q $name
    or return
    builtin functions -c $name __shellenv_users_$name
    set -ga __shellenv_hidden $name
end

# Activate the virtual environment VENV by sourcing its own activate script. WORD…: what the script
# is known to touch beyond the usual: v:VARIABLE, a:FUNCTION, or * for "it cannot be known".
# One that the user has activated by hand wins, and so does the user's `deactivate`.
function __shellenv_activate
    test -n "$VIRTUAL_ENV$__shellenv_declined"
    and return
    set -g __shellenv_ours $argv[1]
    # Then deactivate puts back all that activate has touched
    set -g __shellenv_standard ''
    set -q argv[2] VIRTUAL_ENV VIRTUAL_ENV_PROMPT PYTHONHOME
    test $status -eq 4
    and set -g __shellenv_standard yes
    # Written down before the script runs, in case it is interrupted; corrected afterwards.
    __shellenv_path_becomes $argv[1]/bin $PATH
    __shellenv_remember e VIRTUAL_ENV
    set -g __shellenv_new_eVIRTUAL_ENV "=$argv[1]"
    __shellenv_remember e VIRTUAL_ENV_PROMPT
    set -q PYTHONHOME
    and __shellenv_remember e PYTHONHOME
    builtin functions -q deactivate
    and __shellenv_hide deactivate
    set -l variables
    set -l functions
    for word in $argv[2..-1]
        switch $word
            case 'v:*'
                __shellenv_remember e (string sub -s 3 -- $word)
            case 'a:*'
                __shellenv_hide (string sub -s 3 -- $word)
            case '*'
                set variables (set -gn)
                set functions (builtin functions -an)
                for name in (set -gxn) # it may change any of them
                    string match -qr '^(_|PATH|PWD|SHLVL|__SHELLENV_.*|_OLD_VIRTUAL_.*|VIRTUAL_ENV.*|PYTHONHOME)$' $name
                    or builtin contains $name $__shellenv_environment
                    or __shellenv_remember e $name
                end
        end
    end
    __shellenv_source_activate $argv[1]
    set -g __shellenv_path[2] "$PATH"
    set -g __shellenv_ours "$VIRTUAL_ENV"
    # Exported by the scripts, but of no use to programs.
    for name in _OLD_VIRTUAL_PATH _OLD_VIRTUAL_PYTHONHOME
        set -qx $name
        and set -gu $name $$name
    end
    set -q functions[1]
    and __shellenv_discover "$variables" "$functions"
    for __shellenv_name in $__shellenv_environment
        if set -qg $__shellenv_name
            set -g __shellenv_new_e$__shellenv_name "=$$__shellenv_name"
        else
            set -g __shellenv_new_e$__shellenv_name -
        end
    end
end

# Source the activate script of VENV. It is the user's code: there are no local variables in its way.
function __shellenv_source_activate
    test -n "$VIRTUAL_ENV_DISABLE_PROMPT"
    or set -l VIRTUAL_ENV_DISABLE_PROMPT 1 # there is one marker, ours
    if test -r $argv[1]/bin/activate.fish
        builtin source $argv[1]/bin/activate.fish
    else
        __shellenv_activate_plainly $argv[1]
    end
end

# What has an activate script set and defined that was not there: VARIABLES FUNCTIONS, the names of
# those that were, with blanks between them.
function __shellenv_discover --argument-names variables functions
    for name in (set -gn)
        string match -qr '^(__shellenv_.*|_OLD_VIRTUAL_.*|VIRTUAL_ENV.*|VIRTUAL_ENV_DISABLE_PROMPT)$' $name
        and continue
        string match -q "* $name *" " $variables "
        and continue
        set -g __shellenv_how_e$name -
        __shellenv_record e $name
    end
    for name in (builtin functions -an)
        string match -q '__shellenv_*' -- $name
        and continue
        string match -q "* $name *" " $functions "
        or set -ga __shellenv_functions $name
    end
end

# Do what the activate.fish of a VENV does, for one that has none.
function __shellenv_activate_plainly --argument-names venv
    function deactivate --description 'Exit virtual environment'
        set -q _OLD_VIRTUAL_PATH
        and set -gx PATH $_OLD_VIRTUAL_PATH
        set -q _OLD_VIRTUAL_PYTHONHOME
        and set -gx PYTHONHOME $_OLD_VIRTUAL_PYTHONHOME
        for name in _OLD_VIRTUAL_PATH _OLD_VIRTUAL_PYTHONHOME VIRTUAL_ENV VIRTUAL_ENV_PROMPT
            set -e $name
        end
        builtin functions -e deactivate
    end
    set -g _OLD_VIRTUAL_PATH $PATH
    set -gx PATH $venv/bin $PATH
    set -gx VIRTUAL_ENV $venv
    if set -q PYTHONHOME
        set -g _OLD_VIRTUAL_PYTHONHOME $PYTHONHOME
        set -e PYTHONHOME
    end
end

# Put the marker TEXT in front of the prompt, unless the user keeps the prompt to themselves. It
# stands where fish shows the mode of vi's keys, so that fish_prompt, which people and programs
# define and change at any time, stays theirs and sees $status and $pipestatus.
function __shellenv_mark --argument-names text
    status is-interactive
    or return
    test -n "$SHELLENV_DISABLE_PROMPT$DOCKERUTILS_DISABLE_PROMPT"
    and return
    test -n "$VIRTUAL_ENV" -a -n "$VIRTUAL_ENV_DISABLE_PROMPT"
    and return
    test -n "$__shellenv_dock_shown"
    and __shellenv_dock_hide
    __shellenv_hide fish_mode_prompt
    set -g __shellenv_marker $text
    function fish_mode_prompt --description 'The mode of vi\'s keys, the project, and the dock'
        builtin contains fish_mode_prompt $__shellenv_hidden
        and __shellenv_users_fish_mode_prompt
        builtin printf %s $__shellenv_marker $__shellenv_dock_marker
    end
end

# Code to run on entering and on leaving: ID ENTER LEAVE. It runs once as long as ID stays.
function __shellenv_hook --argument-names id enter leave
    set -ga __shellenv_hooks $id $leave
    builtin contains -- $id $__shellenv_entered
    and return
    set -ga __shellenv_entered $id
    set -ga __shellenv_enter_code $enter
end

# Run CODE, which is the user's: there are no local variables in its way.
function __shellenv_run
    eval $argv[1] >&2
end

# Say TEXT, unless the last time that changes were made said the same; with WHAT, once in this shell.
function __shellenv_notice --argument-names text what
    builtin contains -- $text $__shellenv_saying
    and return
    set -ga __shellenv_saying $text
    builtin contains -- $text $__shellenv_said
    or builtin contains -- "$what" $__shellenv_told
    and return
    set -ga __shellenv_told $argv[2]
    builtin printf 'shellenv: %s\n' $text >&2
end

# Begin a project's changes: KEY ROOT HOOK-ID …. What another project, or an older state of this one,
# has done is undone first.
function __shellenv_begin --argument-names key root
    test "x$VIRTUAL_ENV" = "x$__shellenv_venv"
    or __shellenv_follow
    set -g __shellenv_key '' # until the end is reached, this has not happened
    set -g __shellenv_busy yes
    if test -n "$__shellenv_root"
        set -l again yes
        if test "x$root" != "x$__shellenv_root"
            set again ''
            set -g __shellenv_declined ''
        end
        set -g __shellenv_carry
        __shellenv_undo "$again" $argv[3..-1]
    end
    set -g __shellenv_entering $key
    set -g __shellenv_root $root
    set -g __shellenv_enter_code
    set -g __shellenv_saying
end

# All changes are made: this is the state of the shell from now on.
function __shellenv_end
    set -g __shellenv_key $__shellenv_entering
    set -g __shellenv_venv "$VIRTUAL_ENV"
    set -g __shellenv_said $__shellenv_saying
    if set -q __shellenv_carry[1]
        for name in $__shellenv_carry
            builtin contains -- $name $__shellenv_variables
            or __shellenv_forget v $name
        end
        set -g __shellenv_carry
    end
    if set -q __shellenv_functions[1]
        # What a snippet has defined on the short way looks as it did the last time.
        if test -z "$__shellenv_short" -o "x$__shellenv_functions|$__shellenv_hidden" != "x$__shellenv_defined"
            set -g __shellenv_shown (builtin functions $__shellenv_functions)
            set -g __shellenv_looks $__shellenv_shown
            set -g __shellenv_defined ''
            test -n "$__shellenv_short"
            and set -g __shellenv_defined "$__shellenv_functions|$__shellenv_hidden"
        else
            set -g __shellenv_shown $__shellenv_looks
        end
    end
    __shellenv_publish
    set -g __shellenv_busy ''
    for code in $__shellenv_enter_code
        __shellenv_run $code
    end
end

# --- the short way -------------------------------------------------------------------------------
#
# Mostly, nothing is in the way of what a project sets, and nothing of that has changed when it is
# left. Then the snippet makes its changes in a row, with one test before (__shellenv_clear), and takes
# them back in a row, with one test before (__shellenv_shortcut). No primitive runs and variables are
# not logged, because what was done follows from the snippet: __shellenv_long says it in records.

# Go back the short way; false, and nothing is done, if anything has changed.
function __shellenv_back
    test "x$PATH|$VIRTUAL_ENV" = "x$__shellenv_path[2]|$__shellenv_ours"
    or return
    if test -n "$__shellenv_ours"
        # Every generated activate script keeps the old PATH there as long as there is something to undo.
        test -n "$_OLD_VIRTUAL_PATH"
        and builtin functions -q deactivate
        or return
    end
    __shellenv_shortcut
    or return
    if test -n "$__shellenv_ours"
        deactivate
        if set -qg VIRTUAL_ENV # that was a function of the user's
            set -eg VIRTUAL_ENV
            __shellenv_unpath _OLD_VIRTUAL_PATH $__shellenv_path
        end
    end
    set -gx PATH $__shellenv_path[1] # a list of paths takes a text apart at the colons
    set -g __shellenv_path
    set -g __shellenv_ours ''
    set -g __shellenv_short
    set -g __shellenv_partly ''
end

# From the short way to the long one: the log that the primitives would have left.
function __shellenv_long
    set -l records $__shellenv_short
    set -g __shellenv_short
    __shellenv_take $records
end

# --- undoing -------------------------------------------------------------------------------------

# Undo all changes, newest first; what was changed by hand since stays as it is: AGAIN HOOK-ID ….
# AGAIN: the same project follows, so carry hand-made changes over. The hooks stay entered.
function __shellenv_undo --argument-names again
    set -q __shellenv_entered[1]
    and __shellenv_leave_hooks $argv[2..-1]
    set -q __shellenv_functions[1]
    and __shellenv_check_functions # deactivate may erase some
    if set -q __shellenv_short[1]; and not __shellenv_back
        test -n "$__shellenv_partly" # what was not reached is not what the user has unset
        and set again ''
        set -g __shellenv_partly ''
        __shellenv_long
    end
    test -n "$__shellenv_ours"
    and __shellenv_deactivate
    set -q __shellenv_functions[1]
    and __shellenv_restore_functions
    if test -n "$__shellenv_variables$__shellenv_environment"
        __shellenv_restore v "$again" $__shellenv_variables[-1..1]
        __shellenv_restore e '' $__shellenv_environment[-1..1]
        set -g __shellenv_variables
        set -g __shellenv_environment
    end
    if set -q __shellenv_path[1]
        # and what an environment that the user has activated inside will put back
        test -n "$_OLD_VIRTUAL_PATH"
        and __shellenv_unpath _OLD_VIRTUAL_PATH $__shellenv_path
        __shellenv_unpath PATH $__shellenv_path
        set -g __shellenv_path
    end
    set -q __shellenv_marks[1]
    and __shellenv_unmark
end

# Run the leave code of the entered hooks, the last one first, but of those with one of the IDs: ID ….
function __shellenv_leave_hooks
    set -l leave # they stand in front of their ids now
    for word in $__shellenv_hooks[-1..1]
        set -a leave $word
        set -q leave[2]
        or continue
        set -l code $leave[1]
        set -l index (builtin contains -i -- $word $__shellenv_entered)
        if set -q index[1]; and not builtin contains -- $word $argv
            set -e __shellenv_entered[$index]
            __shellenv_run $code
        end
        set leave
    end
    set -g __shellenv_hooks
end

# Which functions of ours were redefined since? They are the user's now, and no longer in the list.
function __shellenv_check_functions
    set -l now (builtin functions $__shellenv_functions)
    test "x$now" = "x$__shellenv_shown" -o -z "$__shellenv_shown"
    and return
    set -g __shellenv_looks $now
    # Where they were defined is no matter.
    set -l shown (string match -v -- '# Defined *' $__shellenv_shown)
    for name in $__shellenv_functions
        set now (builtin functions $name | string match -v -- '# Defined *')
        string replace -q -- "$now" '' "$shown"
        and continue
        set -g __shellenv_defined ''
        set -l index (builtin contains -i -- $name $__shellenv_functions)
        set -e __shellenv_functions[$index]
        if set index (builtin contains -i -- $name $__shellenv_hidden)
            set -e __shellenv_hidden[$index]
            builtin functions -e __shellenv_users_$name
        end
    end
end

# Take the prompt markers of another shell out of $PS1, which it has exported.
function __shellenv_unmark
    for mark in $__shellenv_marks
        set -l parts (string split -m 1 -- $mark "$PS1")
        set -q parts[2]
        and set -g PS1 "$parts[1]$parts[2]"
    end
    set -g __shellenv_marks
end

# Take away our functions and bring back those that they have hidden.
function __shellenv_restore_functions
    builtin functions -e $__shellenv_functions
    for name in $__shellenv_hidden
        builtin functions -c __shellenv_users_$name $name
        builtin functions -e __shellenv_users_$name
    end
    while set -q __shellenv_wraps[2]
        # The long option, which does not exist, keeps this from erasing all completions of the name.
        builtin complete -e -c $__shellenv_wraps[1] -l __shellenv_none -w $__shellenv_wraps[2]
        set -e __shellenv_wraps[1..2]
    end
    set -g __shellenv_functions
    set -g __shellenv_hidden
    set -g __shellenv_shown
    test -n "$__shellenv_docked"
    and __shellenv_dock_show
end

# Leave our virtual environment by its own `deactivate`, for what people have added to it; PATH is
# kept from it, because it would put an old one back and lose the user's edits.
function __shellenv_deactivate
    # Every generated activate script keeps the old PATH there as long as there is something to undo.
    if test -n "$_OLD_VIRTUAL_PATH" -a "x$VIRTUAL_ENV" = "x$__shellenv_ours"; and builtin functions -q deactivate
        set -l __shellenv_claimed
        if test -z "$__shellenv_standard"
            for __shellenv_name in $__shellenv_environment
                __shellenv_same e $__shellenv_name
                and set -a __shellenv_claimed e $__shellenv_name
            end
            for __shellenv_name in $__shellenv_variables
                __shellenv_same v $__shellenv_name
                and set -a __shellenv_claimed v $__shellenv_name
            end
        end
        set -l __shellenv_now $PATH
        deactivate
        set -gx PATH $__shellenv_now
        # These are ours, whatever deactivate has made of them.
        while set -q __shellenv_claimed[2]
            set -l __shellenv_name $__shellenv_claimed[2]
            set -g __shellenv_new_$__shellenv_claimed[1]$__shellenv_name -
            set -qg $__shellenv_name
            and set -g __shellenv_new_$__shellenv_claimed[1]$__shellenv_name "=$$__shellenv_name"
            set -e __shellenv_claimed[1..2]
        end
    end
    set -g __shellenv_ours ''
end

# Put back the variables NAME … and drop their records: TAG AGAIN NAME …. AGAIN: see __shellenv_undo.
function __shellenv_restore --argument-names tag again
    for name in $argv[3..-1]
        if test $tag = v -a -n "$__shellenv_docked"; and __shellenv_dock_covers $name; and __shellenv_dock_put_beneath $name
            # done
        else if __shellenv_same $tag $name
            __shellenv_put $tag $name
        else if test -n "$again"
            set -ga __shellenv_carry $name
            continue
        end
        __shellenv_forget $tag $name
    end
end

# Bring a variable back to how it was: TAG NAME.
function __shellenv_put --argument-names __shellenv_tag __shellenv_name
    set -l __shellenv_how __shellenv_how_$__shellenv_tag$__shellenv_name
    set -l __shellenv_old __shellenv_old_$__shellenv_tag$__shellenv_name
    switch $$__shellenv_how
        case =
            if set -qUx $__shellenv_name # one with this value is enough
                set -eg $__shellenv_name
                test "x$$__shellenv_name" = "x$$__shellenv_old"
                and return
            end
            set -gx $__shellenv_name $$__shellenv_old
        case '~'
            set -l __shellenv_flags -gu
            test "x$$__shellenv_old" = x(string join ' ' -- $$__shellenv_old | string collect)
            or set -a __shellenv_flags --path
            set $__shellenv_flags $__shellenv_name $$__shellenv_old
        case '*'
            set -eg $__shellenv_name
    end
end

# The list NAME holds a PATH that was OLD and became NEW, which is OLD with entries in front; since
# then it may have been edited. Take our entries out, and nothing else: NAME OLD NEW.
function __shellenv_unpath --argument-names name old new
    if test "x$$name" = "x$new"
        set -g $name $old # a list of paths takes a text apart at the colons
        return
    end
    set -l --path front $new
    set -l --path theirs $old
    for entry in $theirs
        set -e front[-1]
    end
    test "x$front:$old" = "x$new"
    or set front $new
    # Edited in front and behind only? Or else between our entries and the others?
    set -l text (string replace -- ":$new:" ":$old:" ":$$name:" | string collect)
    test "x$text" != "x:$$name:"
    or set text (string replace -- ":$front:" : ":$$name:" | string collect)
    set -l --path current $text
    set current $current[2..-2]
    if test "x$text" = "x:$$name:"
        for entry in $front
            set -l index (builtin contains -i -- $entry $current)
            or continue
            set -l without $current
            set -e without[$index]
            # One that the user had before, too, is theirs as long as there is only one.
            if not builtin contains -- $entry $theirs; or builtin contains -- $entry $without
                set current $without
            end
        end
    end
    set -g $name $current
end

# Undo everything; this shell is in no project any more.
function __shellenv_leave
    test -n "$__shellenv_timeless"
    or set -el $__shellenv_touched
    set -g __shellenv_seen ''
    set -g __shellenv_key ''
    set -g __shellenv_busy yes
    __shellenv_undo ''
    set -g __shellenv_root ''
    set -g __shellenv_said
    set -g __shellenv_declined ''
    set -g __shellenv_venv "$VIRTUAL_ENV"
    __shellenv_publish
    set -g __shellenv_busy ''
end

# --- the undo log for other shells ---------------------------------------------------------------

# Export the log, so that a child shell of any kind can undo what it inherits: its words, with a unit
# separator (0x1f) behind each, four words a record. In words that contain one, and %, they are
# percent-encoded. Functions, hooks and the prompt concern only this shell.
function __shellenv_publish
    set -q __SHELLENV_UNDO_1
    and __shellenv_unpublish_parts
    if test -z "$__shellenv_root"
        set -eg __SHELLENV_UNDO
        return
    end
    set -l us $__shellenv_us
    if set -q __shellenv_short[1]; and not string match -q '*%*' -- "$__shellenv_key$__shellenv_root$__shellenv_path"
        and not string match -q "*$us*" -- "$__shellenv_key$__shellenv_root$__shellenv_path"
        set -g __shellenv_text "#$us"1"$us$__shellenv_key$us$__shellenv_root$us"p"$us"PATH"$us=$__shellenv_path[1]$us=$__shellenv_path[2]$us"
    else
        set -q __shellenv_short[1]
        and __shellenv_long
        set -g __shellenv_text ''
        __shellenv_write '#' 1 "$__shellenv_key" "$__shellenv_root"
        set -q __shellenv_path[1]
        and __shellenv_write p PATH "=$__shellenv_path[1]" "=$__shellenv_path[2]"
    end
    for name in $__shellenv_environment
        __shellenv_words e $name
        __shellenv_write $__shellenv_words
    end
    for name in $__shellenv_variables
        __shellenv_words v $name
        __shellenv_write $__shellenv_words
    end
    set -gx __SHELLENV_UNDO "$__shellenv_text$__shellenv_short"
    # One string of the environment holds at most 128 KiB (MAX_ARG_STRLEN of execve(2) on Linux).
    if string match -qr '^(?s).{30000}' -- $__SHELLENV_UNDO
        __shellenv_publish_parts
    end
end

# Append the record A B C D to __shellenv_text.
function __shellenv_write
    set -l record $argv
    if string match -qr '[%\x1f]' -- $argv
        set record
        for word in $argv
            __shellenv_replace $word % %25
            __shellenv_replace $__shellenv_replaced $__shellenv_us %1F
            set -a record $__shellenv_replaced
        end
    end
    for word in $record
        set -g __shellenv_text $__shellenv_text$word$__shellenv_us
    end
end

# Cut what is published into parts, each a variable.
function __shellenv_publish_parts
    set -l parts (string replace -ra '(?s).{1,30000}' '$0\x00' -- $__SHELLENV_UNDO | string split0)
    set -gx __SHELLENV_UNDO $parts[1]
    set -l part 1
    for more in $parts[2..-2] # the last one is the line's end
        set -gx __SHELLENV_UNDO_$part $more
        set part (builtin math $part + 1)
    end
end

function __shellenv_unpublish_parts
    set -l part 1
    while set -q __SHELLENV_UNDO_$part
        set -eg __SHELLENV_UNDO_$part
        set part (builtin math $part + 1)
    end
end

# The record of a variable into __shellenv_words: TAG NAME.
function __shellenv_words --argument-names tag name
    set -l how __shellenv_how_$tag$name
    set -l old __shellenv_old_$tag$name
    set -l new __shellenv_new_$tag$name
    if builtin contains -- $$how = U
        set -g __shellenv_words $tag $name "=$$old" "$$new" # a list of paths is one word here
    else
        set -g __shellenv_words $tag $name - "$$new"
    end
end

# TEXT with each FROM replaced by TO, into __shellenv_replaced: TEXT FROM TO. `string split` is the one
# builtin whose output keeps newlines in a command substitution.
function __shellenv_replace --argument-names text from to
    set -l parts (string split -- $from $text)
    set -g __shellenv_replaced $parts[1]
    for part in $parts[2..-1]
        set __shellenv_replaced $__shellenv_replaced$to$part
    end
end

# Take over the records in TEXT, which has been published, as our own.
function __shellenv_take --argument-names text
    set -l record
    for word in (string split -- $__shellenv_us $text)
        if string match -q '*%*' -- $word
            __shellenv_replace $word %1F $__shellenv_us
            __shellenv_replace $__shellenv_replaced %25 %
            set word $__shellenv_replaced
        end
        set -a record $word
        set -q record[4]
        or continue
        switch $record[1]
            case v e
                __shellenv_take_variable $record
            case p
                set -g __shellenv_path
                for state in $record[3..4]
                    set -a __shellenv_path (string split -m 1 = -- $state)[2]
                end
            case m
                set -a __shellenv_marks (string split -m 1 = -- $record[4])[2]
            case '#'
                test $record[2] = 1
                or return # another version's
                set -g __shellenv_root $record[4]
        end # aliases, functions and hooks are not inherited,
        set record
    end
end

# Take over the record of a variable: TAG NAME OLD NEW.
function __shellenv_take_variable --argument-names tag name old new
    string match -qr '^[a-zA-Z_]\w*$' -- $name
    or return
    set -g __shellenv_how_$tag$name -
    if string match -q '=*' -- $old # nor are variables that were not exported
        set -g __shellenv_how_$tag$name =
        set -g __shellenv_old_$tag$name (string split -m 1 = -- $old)[2]
    end
    set -g __shellenv_new_$tag$name $new
    __shellenv_record $tag $name
end

# Take over the log that the environment brings: what it says was done is done in this shell, too.
function __shellenv_inherit
    set -l text "$__SHELLENV_UNDO"
    set -l part __SHELLENV_UNDO_1
    while set -q $part
        set text $text$$part
        set part __SHELLENV_UNDO_(builtin math (string replace __SHELLENV_UNDO_ '' $part) + 1)
    end
    __shellenv_take $text
    if builtin contains VIRTUAL_ENV $__shellenv_environment
        set -g __shellenv_ours (string split -m 1 = -- "$__shellenv_new_eVIRTUAL_ENV")[2]
        set -g __shellenv_venv "$__shellenv_ours"
    end
end

# --- triggers ------------------------------------------------------------------------------------

# Bring the shell up to date with the directory it is in.
function __shellenv_update
    set -g __shellenv_seen ''
    test -n "$__shellenv_paused$__shellenv_busy"
    and return
    set -l directory "$PWD" # a leave hook may cd: then there is more to do
    if test "x$PWD" = "x$__shellenv_loaded"; and __shellenv_fresh # the guard of this very place says all
        set -g __shellenv_found $PWD
        set -g __shellenv_probe
        __shellenv_arrive
    else if test "$PWD|$HOME|$SHELLENV_VENV_DIR" = "$__shellenv_rest"; and not test -n '' $__shellenv_rest_probe
        set -g __shellenv_found ''
        set -g __shellenv_probe $__shellenv_rest_probe
        test -n "$__shellenv_root"
        and __shellenv_leave
    else if not __shellenv_look_around
        __shellenv_ask
    else if test -z "$__shellenv_found"
        set -g __shellenv_rest "$PWD|$HOME|$SHELLENV_VENV_DIR"
        set -g __shellenv_rest_probe $__shellenv_probe
        test -n "$__shellenv_root"
        and __shellenv_leave
    else if test "x$__shellenv_found" = "x$__shellenv_loaded"; and __shellenv_fresh
        __shellenv_arrive
    else if __shellenv_load $__shellenv_found
        __shellenv_apply
    else
        __shellenv_ask
    end
    if test -z "$__shellenv_found$__shellenv_root"
        set -g __shellenv_guard __shellenv_none
    else if test "x$__shellenv_found" = "x$__shellenv_key"
        set -g __shellenv_guard __shellenv_watch
        test -n "$__shellenv_hurried"
        or __shellenv_hurry
    else
        return # something is in the way: try again
    end
    set -g __shellenv_seen "$directory|$HOME|$SHELLENV_VENV_DIR|$SHELLENV_PROMPT|$SHELLENV_QUIET|$VIRTUAL_ENV"
end

# When a function calls another or opens a block, fish looks up in which line that is, and counts from
# the beginning of the file: 30 µs at the end of this one. From the first project on, those that are
# called at each cd have a shorter one. (That takes half a millisecond: too long for the start.)
set -g __shellenv_hurried ''
function __shellenv_hurry
    set -g __shellenv_hurried yes
    set -g __shellenv_defined ''
    builtin functions __shellenv_{update,arrive,fresh,look_around,begin,end,leave,undo,back,publish} \
        __shellenv_{check_functions,restore_functions,mark} | builtin source
    builtin functions -q __shellenv_moved
    and builtin functions __shellenv_moved | builtin source
end

# The snippet in memory is the right one, and fresh. Is it applied?
function __shellenv_arrive
    if test "x$__shellenv_found" != "x$__shellenv_key"
        __shellenv_apply
    else if test "x$VIRTUAL_ENV" != "x$__shellenv_venv"
        __shellenv_follow
        test -n "$VIRTUAL_ENV$__shellenv_declined"
        or __shellenv_apply
    end
end

# Does the snippet in memory still hold? It has set what it depends on: $__shellenv_overrides are
# environment variables, and $__shellenv_watch are words of a `test` that is true if a file has changed.
function __shellenv_fresh
    not test "$HOME|$SHELLENV_VENV_DIR|$SHELLENV_PROMPT|$SHELLENV_QUIET" != "$__shellenv_overrides" \
        -o $__shellenv_watch
end

# The nearest directory that may have an environment, into __shellenv_found: from the logical $PWD
# upward, stopping below $HOME and /. False if only the program can say.
function __shellenv_look_around
    set -g __shellenv_found ''
    if test "$HOME|$SHELLENV_VENV_DIR" != "$__shellenv_settings" -o $__shellenv_unset
        __shellenv_settle
        or return
    end
    set -g __shellenv_probe -o $__shellenv_unset
    set -l __shellenv_above
    set -l __shellenv_name
    set -l directory $PWD
    while test "x$directory" != "x$__shellenv_home"
        string match -qr '^(?s)(?<__shellenv_above>.*)/(?<__shellenv_name>[^/]+)$' -- $directory
        or break # there is no name at the end of /
        if not set -q __shellenv_name[1] # fish 3.1 has no named groups
            set -l parts (string split -r -m 1 / -- $directory)
            set __shellenv_above $parts[1]
            set __shellenv_name $parts[2]
        end
        set -l signs -e $__shellenv_venvs/$__shellenv_name -o -e $directory/.venv \
            -o -e $directory/dockerutils.cfg -o -e $directory/docker/dockerutils.cfg \
            -o -e $__shellenv_config/projects/$__shellenv_name.cfg
        if test $signs
            set -g __shellenv_found $directory
            return
        end
        set -ga __shellenv_probe -o $signs
        set directory $__shellenv_above
    end
    return 0
end

# Where the home directory and the virtual environments are, into __shellenv_home and
# __shellenv_venvs; false if only the program can say, which reads the configuration.
# $__shellenv_unset are words of a `test` that is true if a file says something else by now.
function __shellenv_settle
    set -g __shellenv_settings ''
    set -g __shellenv_unset $__shellenv_none
    set -g __shellenv_home ''
    set -g __shellenv_venvs /dev/null/.venv
    if string match -q '/*' -- "$HOME"
        set __shellenv_venvs $HOME/.venv
        set __shellenv_home $HOME
        string match -q '*/' -- $HOME
        and set __shellenv_home (string replace -r '/+$' '' -- $HOME | string collect)
    end
    switch "$SHELLENV_VENV_DIR"
        case ''
            set __shellenv_unset -e $__shellenv_config/dockerutils.cfg -o -e /etc/shellenv/dockerutils.cfg
            if test $__shellenv_unset
                if not __shellenv_settled
                    __shellenv_source $__shellenv_cache/settings.fish
                    and __shellenv_settled
                    or return
                end
                set __shellenv_unset $__shellenv_unsettled
            end
        case '/*'
            set __shellenv_venvs $SHELLENV_VENV_DIR
        case '~' '~/*'
            if string match -q '/*' -- "$HOME"
                set -l parts (string split -m 1 '~' -- $SHELLENV_VENV_DIR)
                set __shellenv_venvs $HOME$parts[2]
            end
    end
    set -g __shellenv_settings "$HOME|$SHELLENV_VENV_DIR"
    return 0
end

# Does what a file says about the environments still hold? The settings define this anew.
builtin functions -q __shellenv_settled
or function __shellenv_settled
    return 1
end

# Source FILE, a snippet or the settings, if it is whole enough to begin with the right line and is
# the user's own; its last line says for which directory it is.
function __shellenv_source --argument-names file
    test -O $file -a -f $file -a -r $file
    or return
    # Is it whole? What fish cannot parse it says aloud, wherever stderr goes.
    set -l text
    read -z text <$file
    string match -q "# shellenv snippet $__shellenv_version"\n'*'\nend\n'set -g __shellenv_*'\n -- $text
    and builtin source $file 2>/dev/null
end

# Load the snippet of DIRECTORY; false if there is none, or it is not fresh.
function __shellenv_load --argument-names directory
    set -g __shellenv_loaded ''
    test -n "$__shellenv_timeless"
    and return 1
    __shellenv_source $__shellenv_cache/snippets/fish$directory/.snippet
    test "x$__shellenv_loaded" = "x$directory"
    and __shellenv_fresh
end

# Ask the program, which prints what to do and keeps it for the next time.
function __shellenv_ask
    test "x$__shellenv_tried" = "x$PWD"
    and return
    set -g __shellenv_loaded ''
    if not test -x $__shellenv_bin
        test -n "$__shellenv_gone"
        or __shellenv_notice "$__shellenv_bin is gone; install shellenv again, or take its line out of your config.fish"
        set -g __shellenv_gone yes
    else
        set -l code
        if set code ($__shellenv_bin export fish)
            builtin printf '%s\n' $code | builtin source
            test -n "$__shellenv_timeless"
            and set -g __shellenv_watch -n yes
            __shellenv_look_around # with the settings that it has brought
            if test "x$__shellenv_loaded" = "x$__shellenv_found"
                set -g __shellenv_tried ''
                return
            end
        else if test $status -gt 128
            return # interrupted: again at the next prompt
        end
    end
    # It has failed and said so, or sees another directory than we do: that will not change by itself.
    set -g __shellenv_tried $PWD
    test -n "$__shellenv_root" -a "x$__shellenv_key" != "x$__shellenv_found"
    and __shellenv_leave
end

# $VIRTUAL_ENV is not what we left: the user has activated or deactivated something by hand.
function __shellenv_follow
    test -z "$VIRTUAL_ENV$__shellenv_partly" -a -n "$__shellenv_ours" -a "x$__shellenv_venv" = "x$__shellenv_ours"
    and set -g __shellenv_declined "$__shellenv_root"
    set -g __shellenv_venv "$VIRTUAL_ENV"
end

# The verbs that change this shell; all others are the program's.
function shellenv --description 'The project that this shell is in'
    switch "$argv"
        case reload pause resume
            __shellenv_$argv
        case allow deny 'allow *' 'deny *'
            command $__shellenv_bin $argv
            or return
            set -g __shellenv_tried ''
            __shellenv_update
            return 0
        case dock castoff 'dock *' 'castoff *'
            $argv
        case status 'status *'
            set -lx __SHELLENV_PAUSED no
            test -n "$__shellenv_paused"
            and set __SHELLENV_PAUSED yes
            command $__shellenv_bin $argv
        case '*'
            command $__shellenv_bin $argv
    end
end

# The dock layer is in a file of its own, which most shells never need: each of these loads it, and
# with it the function that takes its place.
function __shellenv_load_dock
    builtin source (string replace -r '[^/]*$' '' -- (status filename))dock.fish
end
function dock
    __shellenv_load_dock
    dock $argv
end
function castoff
    __shellenv_load_dock
    castoff $argv
end
function __shellenv_dock_monikers
    __shellenv_load_dock
    __shellenv_dock_monikers
end

# Undo everything and do it anew, hooks included.
function __shellenv_reload
    set -g __shellenv_paused ''
    set -g __shellenv_tried ''
    __shellenv_leave
    __shellenv_ask
    return 0
end

# Undo everything, and do nothing in this shell until `shellenv resume`.
function __shellenv_pause
    __shellenv_leave
    set -g __shellenv_paused yes
end

function __shellenv_resume
    set -g __shellenv_paused ''
    set -g __shellenv_tried ''
    __shellenv_update
    return 0
end

# --- installing ----------------------------------------------------------------------------------

if test -z "$__shellenv_inherited"
    set -g __shellenv_inherited yes
    test -n "$__SHELLENV_UNDO"
    and __shellenv_inherit
    if test -n "$__SHELLENV_DOCK_UNDO"
        __shellenv_load_dock
        __shellenv_dock_inherit
    end
end
# A script may want no more than `shellenv export`, and a script that has read config.fish, as all do,
# has not asked for anything. Who has followed an older hook follows this one.
if builtin functions -q __shellenv_prompt
    or begin
        test "$argv[1]" != --definitions
        and begin
            status is-interactive
            or not string match -qr '/config\.fish|/conf\.d/' -- (status stack-trace)
        end
    end

    # Before each prompt: is all as it was? The words of the `test` are those of the snippet in force, or
    # none, and the paths where there was nothing on the way up. fish keeps $status over events.
    function __shellenv_prompt --on-event fish_prompt
        test "$PWD|$HOME|$SHELLENV_VENV_DIR|$SHELLENV_PROMPT|$SHELLENV_QUIET|$VIRTUAL_ENV" != "$__shellenv_seen" \
            -o $__shellenv_lost -o $$__shellenv_guard $__shellenv_probe
        or return
        test $__shellenv_lost
        and __shellenv_dock_check
        set -g __shellenv_busy '' # whatever was interrupted: at a prompt, nothing goes on
        __shellenv_update
    end

    # After cd, so that `cd project; and command` works.
    function __shellenv_moved --on-variable PWD
        __shellenv_update
    end

    if status is-interactive
        builtin complete -c dock -c ssh-dock -c unregister-dock -f -n __fish_is_first_arg -a '(__shellenv_dock_monikers)'
    end
end

# A script has no prompt that could notice where it is.
if test "$argv[1]" != --definitions; and builtin functions -q __shellenv_moved; and not status is-interactive
    __shellenv_update
end
