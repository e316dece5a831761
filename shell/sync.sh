#!/bin/sh
# sync.sh: the far end of a sync (shellenv/sync/remote.py). It has these variables: remote (where all
# projects are, ~ being the home there), name (the project's), dry (1: make nothing), owner (two
# lines: who we are), token (a word that nobody else knows).
#
# Its first answer says what is there. Then it reads lines, each the token and the number of bytes
# of a script that follows, or `lend`, and ends with its stdin.
# shellcheck disable=SC2154,SC2088 # see above; no tilde is to expand

# answer SCRIPT: what it prints, two NULs, and its status, as one gzip member.
answer() {
  {
    (eval "$1")
    printf '\0\0%s' "$?"
  } | gzip -1
}

# each SIZE COMMAND: run it for the paths that come in SIZE bytes, gzipped. All of them are read, as
# what follows are scripts. It fails if anything of it was killed: what it has said would pass for
# all there is.
each() {
  {
    said=$({ head -c "$1" | {
      gzip -d
      echo "$?" >&5
    } | {
      [ -z "$directory" ] || xargs -0r sh -c "exec $2" sh >&6 2>/dev/null
      echo "$?" >&5
      cat
    }; } 5>&1 >/dev/null)
  } 6>&1
  case $said in
    "0
0" | "0
123") ;;
    *) exit 1 ;;
  esac
}

# The channel is an rsync's: its command comes first. At its end, the token says that it is ours.
# rsync leaves its stdin and stdout such that nobody can wait for them any more: it has others. Who
# reads the channel for it would wait for ever: two see to its end, as one may be killed.
lend() {
  read -r n && run=$(head -c "$n") || exit
  {
    n=$(
      exec 5>&1 9>&-
      sh -c 'echo $$; exec cat' <&3 | {
        read -r in
        echo "$in"
        eval "$run"
        echo $? >&5
        kill -s PIPE "$in"
      } 3<&- | {
        read -r in
        cat >&4
        kill -s PIPE "$in" 2>/dev/null
      }
    )
  } 3<&0 4>&1
  case $n in
    0 | 23 | 24) printf %s "$token" ;;
    *) exit ;;
  esac
}

# Who holds the lock is us, left over from a connection that broke: end it, and what it waits for.
end_stale() {
  [ "$(head -n 2 "$own/owner")" = "$owner" ] && read -r holder <"$own/holder" &&
    grep -q 'head -c' "/proc/$holder/cmdline" && { kill -- "-$holder" || kill "$holder"; }
} 2>/dev/null

# lock: sets state to what is in the way, if anything is.
lock() {
  if ! command -v flock >/dev/null; then
    state='cannot lock: flock is not installed'
    return
  fi
  said=$( (: >>"$own/lock") 2>&1) || {
    state="$own/lock: ${said##*: }"
    return
  }
  exec 9>>"$own/lock"
  flock -n 9 || end_stale
  if flock -w 10 9; then
    echo "$$" >"$own/holder"
  else
    state=busy
  fi
  [ ! -e "$own/moving" ] || flock -w 60 "$own/moving" true || state=moving
}

# What is there, each part with a NUL behind it.
place() {
  printf '%s\0' "${state:-ok}" "$user" "$root" "$own"
  [ ! -e "$own/owner" ] || tr -d '\0' <"$own/owner"
  printf '\0'
  [ ! -d "$root" ] || held "$root"
  printf '\0'
  [ ! -d "$old" ] || printf %s "$old"
  printf '\0'
  [ ! -d "$own/new" ] || printf new
  printf '\0'
  held "$own/in"
  printf '\0'
  set +f
  for one in "$own/was"/*; do
    [ ! -d "$one" ] || echo "${one##*/}"
  done
}

# held DIRECTORY: is there anything in it?
held() {
  set +f
  for one in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -e "$one" ] || [ -L "$one" ]; then
      printf full
      return
    fi
  done
  printf empty
}

set -f
umask 022
LC_ALL=C
export LC_ALL
user=${LOGNAME:-$(id -un)} state=''
case $remote in
  '~') remote=$HOME ;;
  '~/'*) remote=$HOME/${remote#'~/'} ;;
esac
root=$remote/$user/$name own=$remote/$user/.shellenv/$name old=/data/workspaces/$user/code/$name
if [ ! -d "$own/in" ]; then
  if [ "$dry" = 0 ]; then
    said=$(mkdir -p "$own/was" "$own/in" 2>&1) || state="cannot $said"
  else
    above=$own
    until [ -e "$above/" ]; do above=${above%/*}; done
    [ -w "$above/" ] || state="cannot mkdir: cannot create directory '$root'"
  fi
fi
[ -n "$state" ] || [ ! -d "$own" ] || lock
command -v rsync >/dev/null || state='no rsync'
answer place || exit
while IFS= read -r n; do
  case $n in
    "$token lend") lend ;;
    "$token "*) answer "$(head -c "${n#* }")" || exit ;; # who was killed says no more
    *) exit 1 ;;
  esac
done
