#!/usr/bin/env bash
# parts.sh PROGRAM…: makes sure that these programs are installed. As root on Debian it installs
# what is missing; otherwise it says what to install, and fails.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

missing=()
for program; do
  # macOS has nothing like it; the tests that count processes skip there.
  [ "$program:$(uname)" = strace:Darwin ] && continue
  command -v "$program" >/dev/null || missing+=("$program")
done
[ ${#missing[@]} -gt 0 ] || exit 0

# Each program's package has the program's name, in Debian and in Homebrew.
if can_apt; then
  apt_install "${missing[@]}" || fail "apt-get could not install: ${missing[*]}" 'See above.'
elif command -v apt-get >/dev/null; then
  fail "not installed: ${missing[*]}" "Install them: sudo apt-get install ${missing[*]}"
elif command -v brew >/dev/null; then
  fail "not installed: ${missing[*]}" "Install them: brew install ${missing[*]}"
else
  fail "not installed: ${missing[*]}" "Install them with your system's package manager."
fi
