#!/usr/bin/env bash
# venv.sh [EXTRA]: makes .venv in the checkout and installs shellenv there, editable, with the
# optional dependencies EXTRA. It does nothing if that is done and nothing it depends on changed.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
extra=${1-}

# An installed launcher is a copy, and scripts in a venv hold its absolute path.
made_from=$(printf '%s\n' "$PWD" && cksum pyproject.toml shell/shellenv.sh)
stamp=.venv/.made-from
if [ -e "$stamp" ] && .venv/bin/python -c '' 2>/dev/null; then
  [ "$(<"$stamp")" = "$made_from dev" ] && exit 0
  [ "$(<"$stamp")" = "$made_from $extra" ] && exit 0
fi

python=${PYTHON-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
  fail "$python is no Python 3.10 or newer" 'Say which one to use: make PYTHON=/path/to/python3'

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  hint='Install it (Debian, Ubuntu: sudo apt-get install python3-venv).'
  can_apt || fail "$python has no ensurepip, which makes virtual environments" "$hint"
  version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  apt_install "$version" || fail "apt-get could not install $version" "$hint"
fi

printf 'making .venv\n' >&2
.venv/bin/python -c '' 2>/dev/null || quietly "$python" -m venv --clear .venv
quietly .venv/bin/python -m pip --disable-pip-version-check install -q -e ".${extra:+[$extra]}"
printf '%s %s\n' "$made_from" "$extra" >"$stamp"
