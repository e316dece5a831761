#!/bin/sh
# layer.sh: makes an image one that its user can work in. It runs as root in a container of the
# image, with these set: user, uid, gid, home (the user's), root (where the project is mounted),
# prefix (where shellenv's own files go), enter (the text of enter.sh), setup (the user's commands).
# shellcheck disable=SC2154 # see above
set -eu

# A file of accounts without those that have our name or number.
without() {
  grep -v -e "^$2:" -e "^[^:]*:[^:]*:$3:" "$1" || :
}

shell=$(command -v bash) || shell=/bin/sh
accounts=$(without /etc/passwd "$user" "$uid")
printf '%s\n%s:x:%s:%s::%s:%s\n' "$accounts" "$user" "$uid" "$gid" "$home" "$shell" >/etc/passwd
if ! grep -q "^[^:]*:[^:]*:$gid:" /etc/group; then
  group=$user
  ! grep -q "^$user:" /etc/group || group=g$gid
  printf '%s:x:%s:\n' "$group" "$gid" >>/etc/group
fi

if [ ! -e "$home" ]; then
  mkdir -p "$home"
  [ ! -d /etc/skel ] || cp -R /etc/skel/. "$home"
fi
# A volume that is mounted there for the first time gets what is here, and its owner.
case $root in
  "$home"/*)
    parent=${root%/*}
    while [ "$parent" != "$home" ]; do
      mkdir -p "$parent"
      chown "$uid:$gid" "$parent"
      parent=${parent%/*}
    done
    ;;
esac
for file in "$home" "$home"/.[!.]* "$home"/*; do
  if [ "$file" != "$root" ] && [ -e "$file" ]; then
    case $root in
      "$file"/*) chown "$uid:$gid" "$file" ;;
      *) chown -R "$uid:$gid" "$file" ;;
    esac
  fi
done

# A login shell, which tmux starts, too, would lose the PATH of the run where the profile sets one.
if [ -w /etc/profile ]; then
  # shellcheck disable=SC2016 # what it says there
  sed -i -E 's/^(.*[[:space:]])?PATH=([^$]*)$/\1PATH=${PATH:-\2}/' /etc/profile || :
fi

mkdir -p "$prefix"
printf '%s\n' "$enter" >"$prefix/enter"
chmod 755 "$prefix/enter"
cat >"$prefix/bashrc" <<'END'
for file in /etc/bash.bashrc ~/.bashrc; do
  [ ! -r "$file" ] || . "$file"
done
unset file
PS1=$SHELLENV_MARKER$PS1
END
cat >"$prefix/shrc" <<'END'
PS1=$SHELLENV_MARKER'$ '
END

# What is installed goes into a virtual environment of the user's, on top of what the image has:
# distributions do not want it in theirs (PEP 668), and it behaves like the one outside.
if python=$(command -v python3 || command -v python); then
  "$python" -m venv --system-site-packages "$prefix/venv" ||
    "$python" -m venv --system-site-packages --without-pip "$prefix/venv" || :
fi
if [ -d "$prefix/venv" ]; then
  VIRTUAL_ENV=$prefix/venv
  PATH=$VIRTUAL_ENV/bin:$PATH
  export VIRTUAL_ENV PATH
fi

cd "$root"
if [ -n "$setup" ]; then
  sh -e -c "$setup"
fi
chown -R "$uid:$gid" "$prefix"
