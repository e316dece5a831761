#!/usr/bin/env bats
# The launcher alone, in made-up prefixes with a core that only says how it was called.

setup() {
  top="$BATS_TEST_TMPDIR"
  install_into "$top/prefix"
}

# Lays out prefix $1 as pip does, with a core whose "Python" prints its arguments.
install_into() {
  local package="$1/lib/python3.11/site-packages/shellenv"
  mkdir -p "$1/bin" "$package/shell"
  cp "$BATS_TEST_DIRNAME/../shell/shellenv.sh" "$1/bin/shellenv"
  chmod +x "$1/bin/shellenv"
  touch "$package/__init__.py" "$package/shell/hook."{bash,zsh,fish}
  printf '#!/bin/sh\necho "python: $*"\n' >"$1/bin/python3"
  chmod +x "$1/bin/python3"
  printf '#!%s\n' "$1/bin/python3" >"$1/bin/shellenv-core"
  chmod +x "$1/bin/shellenv-core"
}

# What `hook bash` prints for a launcher reached as $1, in prefix $2
hook_bash() {
  printf "__shellenv_bin='%s'\n\\. '%s/lib/python3.11/site-packages/shellenv/shell/hook.bash' --install" "$1" "$2"
}

@test "bash and zsh get a line that sources the static hook" {
  run "$top/prefix/bin/shellenv" hook bash
  [ "$status" = 0 ]
  [ "$output" = "$(hook_bash "$top/prefix/bin/shellenv" "$top/prefix")" ]
  run "$top/prefix/bin/shellenv" hook zsh
  [ "${lines[1]}" = "\\. '$top/prefix/lib/python3.11/site-packages/shellenv/shell/hook.zsh' --install" ]
}

@test "fish gets its own words" {
  run "$top/prefix/bin/shellenv" hook fish
  [ "${lines[0]}" = "set -g __shellenv_bin '$top/prefix/bin/shellenv'" ]
  [ "${lines[1]}" = "source '$top/prefix/lib/python3.11/site-packages/shellenv/shell/hook.fish' --install" ]
}

@test "links are followed to the package, and the path of the link is what the hook keeps" {
  mkdir "$top/local"
  ln -s ../prefix/bin/shellenv "$top/local/relative"
  ln -s "$top/local/relative" "$top/local/shellenv"
  PATH="$top/local:$PATH" run shellenv hook bash
  [ "$output" = "$(hook_bash "$top/local/shellenv" "$top/prefix")" ]
}

@test "a link to where pipx or uv keeps it is followed without starting readlink" {
  printf '#!/bin/sh\nexit 1\n' >"$top/readlink"
  chmod +x "$top/readlink"
  for place in .local/share/pipx/venvs .local/pipx/venvs .local/share/uv/tools; do
    install_into "$top/$place/shellenv"
    ln -sf "$top/$place/shellenv/bin/shellenv" "$top/shellenv"
    HOME=$top PATH="$top:$PATH" run shellenv hook bash
    [ "$output" = "$(hook_bash "$top/shellenv" "$top/$place/shellenv")" ]
  done
}

@test "a linked directory on the way changes nothing" {
  mkdir "$top/elsewhere"
  ln -s "$top/prefix/bin" "$top/elsewhere/bin"
  run "$top/elsewhere/bin/shellenv" hook bash
  [ "$output" = "$(hook_bash "$top/elsewhere/bin/shellenv" "$top/prefix")" ]
}

@test "a relative path becomes absolute" {
  cd "$top"
  run prefix/bin/shellenv hook bash
  [ "$output" = "$(hook_bash "$top/prefix/bin/shellenv" "$top/prefix")" ]
  cd prefix/bin
  run ./shellenv hook bash
  [ "$output" = "$(hook_bash "$top/prefix/bin/shellenv" "$top/prefix")" ]
}

@test "so does a name given to sh" {
  cd "$top/prefix/bin"
  run sh shellenv hook bash
  [ "$output" = "$(hook_bash "$top/prefix/bin/shellenv" "$top/prefix")" ]
  cd "$top"
  PATH="$top/prefix/bin:$PATH" run bash shellenv hook bash
  [ "$output" = "$(hook_bash "$top/prefix/bin/shellenv" "$top/prefix")" ]
}

@test "spaces, dollars and double quotes in the path are printed so that the shells read them" {
  install_into "$top/a \$b \"c\" [d] *"
  run "$top/a \$b \"c\" [d] */bin/shellenv" hook bash
  [ "$output" = "$(hook_bash "$top/a \$b \"c\" [d] */bin/shellenv" "$top/a \$b \"c\" [d] *")" ]
  __shellenv_bin=
  eval "$output"
  [ "$__shellenv_bin" = "$top/a \$b \"c\" [d] */bin/shellenv" ]
}

@test "a path that single quotes cannot hold is left to the core" {
  for name in "it's" 'back\slash' $'new\nline'; do
    install_into "$top/$name"
    printf '#!/bin/sh\necho "core: $*"\n' >"$top/$name/bin/shellenv-core"
    run "$top/$name/bin/shellenv" hook bash
    [ "$output" = "core: hook bash" ]
  done
}

@test "an editable install, which has no package beside shell/, is left to the core" {
  rm "$top/prefix/lib/python3.11/site-packages/shellenv/__init__.py"
  run "$top/prefix/bin/shellenv" hook bash
  [ "$output" = "python: -E -X utf8 $top/prefix/bin/shellenv-core hook bash" ]
}

@test "so are two Pythons below one prefix" {
  cp -R "$top/prefix/lib/python3.11" "$top/prefix/lib/python3.12"
  run "$top/prefix/bin/shellenv" hook bash
  [ "$output" = "python: -E -X utf8 $top/prefix/bin/shellenv-core hook bash" ]
}

@test "so are other shells, missing shells and extra words" {
  for words in "hook tcsh" "hook" "hook bash --help" "--help" ""; do
    # shellcheck disable=SC2086
    run "$top/prefix/bin/shellenv" $words
    [ "$output" = "python: -E -X utf8 $top/prefix/bin/shellenv-core${words:+ $words}" ]
  done
}

@test "arguments reach the core as they are, and its status comes back" {
  printf '#!/bin/sh\nprintf "<%%s>" "$@"\nexit 7\n' >"$top/prefix/bin/python3"
  run "$top/prefix/bin/shellenv" exec -- 'a b' '' '*' $'x\ny'
  [ "$status" = 7 ]
  [ "$output" = $'<-E><-X><utf8><'"$top"$'/prefix/bin/shellenv-core><exec><--><a b><><*><x\ny>' ]
}

@test "a core that is no plain Python script is started by its own first line" {
  printf '#!/bin/sh\necho "wrapped: $*"\n' >"$top/prefix/bin/shellenv-core"
  run "$top/prefix/bin/shellenv" status
  [ "$output" = "wrapped: status" ]
}

@test "under another name it is that verb" {
  ln -s shellenv "$top/prefix/bin/run-shell"
  cp "$top/prefix/bin/shellenv" "$top/prefix/bin/ls-dock"
  run "$top/prefix/bin/run-shell" -- hook bash
  [ "$output" = "python: -E -X utf8 $top/prefix/bin/shellenv-core run-shell -- hook bash" ]
  run "$top/prefix/bin/ls-dock"
  [ "$output" = "python: -E -X utf8 $top/prefix/bin/shellenv-core ls-dock" ]
}

@test "without its core it says so and what to do" {
  rm "$top/prefix/bin/shellenv-core"
  PATH=/usr/bin:/bin run "$top/prefix/bin/shellenv" status
  [ "$status" = 1 ]
  [ "${#lines[@]}" = 2 ]
  [[ "${lines[0]}" == "shellenv: cannot find shellenv-core"* ]]
  [[ "${lines[1]}" == *"pipx reinstall shellenv"* ]]
}

@test "without its Python, too" {
  rm "$top/prefix/bin/python3"
  run "$top/prefix/bin/shellenv" status
  [ "$status" = 1 ]
  [ "${lines[0]}" = "shellenv: its Python is gone: $top/prefix/bin/python3" ]
  [[ "${lines[1]}" == *"pipx reinstall shellenv"* ]]
}
