#!/usr/bin/env bash
# parts.sh PROGRAM[:PACKAGE]…: makes sure that these programs are installed. As root on Debian it
# installs what is missing; otherwise it says what to install, and fails.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

PATH=$PATH:/usr/sbin # where sshd is, and not everybody looks
missing=()
for part; do
  program=${part%%:*}
  # macOS has nothing like it; the tests that count processes skip there.
  [ "$program:$(uname)" = strace:Darwin ] && continue
  command -v "$program" >/dev/null || missing+=("${part#*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

# Unless a package is named it has the program's name, in Debian and in Homebrew.
if can_apt; then
  apt_install "${missing[@]}" || fail "apt-get could not install: ${missing[*]}" 'See above.'
elif command -v apt-get >/dev/null; then
  fail "not installed: ${missing[*]}" "Install them: sudo apt-get install ${missing[*]}"
elif command -v brew >/dev/null; then
  fail "not installed: ${missing[*]}" "Install them: brew install ${missing[*]}"
else
  fail "not installed: ${missing[*]}" "Install them with your system's package manager."
fi
