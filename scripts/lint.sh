#!/usr/bin/env bash
# lint.sh: every linter over every file that is written by hand. What is rendered is linted by
# the test suite, which renders it.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
shopt -s globstar nullglob

sh_files=(shell/*.sh shell/*.bash scripts/*.sh tests/**/*.sh tests/**/*.bash bench/*.bash .ci/run)
bats_files=(tests/**/*.bats)
zsh_files=(shell/*.zsh bench/*.zsh)
fish_files=(shell/*.fish bench/*.fish)

status=0
# Runs one linter, silent if it is content.
check() {
  quietly "$@" || {
    printf 'lint: failed: %s\n' "$*" >&2
    status=1
  }
}

check .venv/bin/ruff check .
check .venv/bin/ruff format --check .
check .venv/bin/mypy
check shellcheck --external-sources --source-path=SCRIPTDIR "${sh_files[@]}" "${bats_files[@]}"
check shfmt -d "${sh_files[@]}" "${bats_files[@]}"
for file in "${zsh_files[@]}"; do
  check zsh -f -n "$file"
done
for file in "${fish_files[@]}"; do
  check fish --no-config --no-execute "$file"
  check fish_indent --check "$file"
done
check perl -wc shell/replace.pl
[ "$status" = 0 ] && printf 'lint: no complaints\n'
exit "$status"
