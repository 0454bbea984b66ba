#!/usr/bin/env bash
# Tries `make up`, `make down` and `make test` in the places where new users are: run it as root on a Debian.
#
#   bash tests/places.sh                 # every place, one clone each; hours
#   bash tests/places.sh root-0700 space # these
#   bash tests/places.sh --list
#
# TESTS says what `make test` runs in each place (default: the tests of what a place decides; `TESTS=tests` for all),
# PYTEST_ADDOPTS how.
# Packages are downloaded once per user into $CACHE.
set -uo pipefail
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
CACHE=${CACHE:-/var/cache/penstock-places}
TESTS=${TESTS:-tests/engine/postgres/test_postgres_places.py tests/engine/cli/test_ports.py}
SCRATCH=$(mktemp -d)
ACCOUNT=penstock-places
unset PENSTOCK_HOME PENSTOCK_HTTP_PORT PENSTOCK_DAGSTER_PORT VIRTUAL_ENV
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'

clone() { # FOLDER: a clone of this checkout's commit
    mkdir -p "$(dirname "$1")" && git clone --quiet --no-hardlinks "$SOURCE" "$1"
}
both() { # FOLDER: the two commands in a clone; everything is down afterwards
    cd "$1" || return 1
    timeout 1200 make up && timeout 300 make up && timeout 120 make down && timeout 3600 make test "TESTS=$TESTS"
    local ended=$?
    timeout 120 make down >/dev/null 2>&1
    return $ended
}
users_clone() { # HOME FOLDER: an ordinary user with a HOME of mode 0700, and a clone of the user's in FOLDER
    id -u $ACCOUNT >/dev/null 2>&1 || useradd --no-create-home --home-dir /nonexistent --shell /bin/bash $ACCOUNT
    install -d -m 0700 -o $ACCOUNT "$1"
    chmod 0711 "$SCRATCH"
    clone "$2" && chown -R $ACCOUNT "$1"
    install -d -o $ACCOUNT "$CACHE-user"
}
by_user() { # HOME COMMAND [NAME=VALUE...]: a shell of that user
    setpriv --reuid=$ACCOUNT --regid=$ACCOUNT --clear-groups env -i PATH="$PATH" HOME="$1" TESTS="$TESTS" \
        PIP_CACHE_DIR="$CACHE-user" PYTEST_ADDOPTS="${PYTEST_ADDOPTS:-}" "${@:3}" bash -uc "$(declare -f both); umask ${UMASK:-022}; $2"
}
as_user() { # FOLDER COMMAND: the same, with the clone in its home
    users_clone "$1" "$1/penstock" && by_user "$1" "$2"
}
refused() { # FOLDER PATTERN: `make up` says why it cannot be, before anything is installed
    cd "$1" || return 1
    make up >"$SCRATCH/refused" 2>&1 && return 1
    cat "$SCRATCH/refused"
    grep -q "$2" "$SCRATCH/refused" && ! grep -q Creating "$SCRATCH/refused"
}

place_root-0700() { mkdir -m 0700 "$SCRATCH/r" && clone "$SCRATCH/r/penstock" && both "$SCRATCH/r/penstock"; }
place_root-umask() (umask 077; clone "$SCRATCH/u/penstock" && both "$SCRATCH/u/penstock")
place_root-mktemp() { local at; at=$(mktemp -d -p "$SCRATCH") && clone "$at/p" && both "$at/p"; }
place_user-0700() { as_user "$SCRATCH/user" 'both "$HOME/penstock"'; }
place_user-umask() { UMASK=077 as_user "$SCRATCH/masked" 'both "$HOME/penstock"'; }
place_space() { clone "$SCRATCH/My Projects/penstock" && both "$SCRATCH/My Projects/penstock"; }
place_quotes() { clone "$SCRATCH/it's \"quoted\"/p" && both "$SCRATCH/it's \"quoted\"/p"; }
place_letters() { clone "$SCRATCH/größe-日本/p" && both "$SCRATCH/größe-日本/p"; }
place_signs() { clone "$SCRATCH/50%#1:2&\$HOME/p" && both "$SCRATCH/50%#1:2&\$HOME/p"; }
place_long() { local at; at=$SCRATCH/$(printf 'x%.0s' {1..90})/$(printf 'y%.0s' {1..90}); clone "$at/p" && both "$at/p"; }
place_read-only() {
    clone "$SCRATCH/ro" && mount --bind "$SCRATCH/ro" "$SCRATCH/ro" && mount -o remount,ro,bind "$SCRATCH/ro"
    PENSTOCK_HOME=$SCRATCH/ro-home both "$SCRATCH/ro"
    local ended=$?
    cd / && umount "$SCRATCH/ro"
    return $ended
}
place_home-elsewhere() {
    mkdir "$SCRATCH/fs" && mount -t tmpfs -o size=4g none "$SCRATCH/fs"
    clone "$SCRATCH/h" && PENSTOCK_HOME=$SCRATCH/fs/home both "$SCRATCH/h"
    local ended=$?
    cd / && umount "$SCRATCH/fs"
    return $ended
}
place_home-relative() { clone "$SCRATCH/rel" && PENSTOCK_HOME=state/here both "$SCRATCH/rel"; }
place_home-link() { mkdir "$SCRATCH/real" && ln -s real "$SCRATCH/link" && clone "$SCRATCH/l" && PENSTOCK_HOME=$SCRATCH/link/home both "$SCRATCH/l"; }
place_no-home() { clone "$SCRATCH/nh" && (unset HOME; both "$SCRATCH/nh"); }
place_home-not-writable() { clone "$SCRATCH/nw" && HOME=/proc/self both "$SCRATCH/nw"; }
place_lang-c() { clone "$SCRATCH/lc" && (unset LC_ALL LC_CTYPE; LANG=C both "$SCRATCH/lc"); }
place_lang-utf8() { clone "$SCRATCH/lu" && LC_ALL=C.UTF-8 both "$SCRATCH/lu"; }
place_time-zone() { clone "$SCRATCH/tz" && TZ=America/New_York both "$SCRATCH/tz"; }
place_files-1024() { clone "$SCRATCH/nf" && (ulimit -S -n 1024; both "$SCRATCH/nf"); }
place_shm-64() {
    clone "$SCRATCH/shm" && export -f both && TESTS=$TESTS unshare -m bash -c \
        "mount -t tmpfs -o size=64m none /dev/shm && both '$SCRATCH/shm'"
}
place_no-ipv6() {
    clone "$SCRATCH/v4" && make -C "$SCRATCH/v4" --silent setup && export -f both && TESTS=$TESTS unshare -n bash -c \
        "ip link set lo up; sysctl -qw net.ipv6.conf.all.disable_ipv6=1; both '$SCRATCH/v4'"
}
place_no-git() { mkdir "$SCRATCH/ng" && git -C "$SCRATCH/ng" init -q && git archive --remote="$SOURCE" HEAD | tar -x -C "$SCRATCH/ng" && rm -rf "$SCRATCH/ng/.git" && (PATH=$(without git) both "$SCRATCH/ng"); }
place_no-compiler() { clone "$SCRATCH/nc" && (CC=/nonexistent PATH=$(without cc gcc c99 clang) both "$SCRATCH/nc"); }
place_environment() {
    clone "$SCRATCH/env" && PYTHONPATH=/nonexistent:$SCRATCH VIRTUAL_ENV=/nonexistent PIP_USER=1 PIP_REQUIRE_VIRTUALENV=1 \
        PYTHONDONTWRITEBYTECODE=1 CONDA_PREFIX=/nonexistent CONDA_DEFAULT_ENV=base both "$SCRATCH/env"
}
holding_ports() { # COMMAND...: while somebody else has the default ports
    python3 -c 'import socket, time
taken = [socket.create_server(("127.0.0.1", port)) for port in (8000, 3000)]
time.sleep(7200)' &
    local holder=$!
    "$@"
    local ended=$?
    kill $holder
    return $ended
}
place_ports-taken() { clone "$SCRATCH/pt" && holding_ports both "$SCRATCH/pt"; }
place_interrupted() {
    clone "$SCRATCH/int" && cd "$SCRATCH/int" || return 1
    for seconds in 2 20 60; do timeout --signal=INT --kill-after=30 $seconds make up && break; done # while it is installed
    make setup || return 1
    for seconds in 2 3 4 5 6 8 10 12 15 18 22 26 30; do timeout --signal=INT --kill-after=30 $seconds make up && break; done
    both "$SCRATCH/int"
}
place_two-clones() {
    clone "$SCRATCH/one" && clone "$SCRATCH/two" || return 1
    both "$SCRATCH/one" & local first=$!
    both "$SCRATCH/two"
    local ended=$?
    wait $first && return $ended
}
place_memory-4g() { # by either version of control groups
    local root=/sys/fs/cgroup limit=memory.max peak=memory.peak
    test -d $root/memory && root=$root/memory limit=memory.limit_in_bytes peak=memory.max_usage_in_bytes
    local group=$root/penstock-places
    mkdir "$group" && test -w "$group/cgroup.procs" && echo 4G >"$group/$limit" || { echo "no cgroup here"; return 77; }
    clone "$SCRATCH/4g" && (echo $BASHPID >"$group/cgroup.procs"; both "$SCRATCH/4g")
    local ended=$?
    echo "at most $(($(cat "$group/$peak") >> 20)) MiB"
    rmdir "$group"
    return $ended
}
everything() { # COMMAND: all that a machine can lack or have set, at once; packages have to be there already
    TESTS=$TESTS unshare -m -n bash -c "$(declare -f both by_user holding_ports)
        ip link set lo up; sysctl -qw net.ipv6.conf.all.disable_ipv6=1
        mount -t tmpfs -o size=64m none /dev/shm; ulimit -S -n 1024; holding_ports $1"
}
hostile() { # FOLDER: a path below FOLDER of 200 bytes with every sign that somebody has to quote
    local at="$1/My Projects/it's \"größe\" 日本/50%#1:2&\$HOME/"
    LC_ALL=C
    printf '%s%s/p' "$at" "$(printf 'x%.0s' $(seq $((198 - ${#at}))))"
}
place_everything-root() (
    umask 077
    at=$(hostile "$(mktemp -d -p "$SCRATCH")") && clone "$at" && rm -rf "$at/.git" || return 1
    unset LC_ALL LC_CTYPE
    export AT=$at PATH HOME=/proc/self LANG=C TZ=America/New_York CC=/nonexistent PYTHONPATH=/nonexistent:$SCRATCH \
        VIRTUAL_ENV=/nonexistent PIP_USER=1 PIP_REQUIRE_VIRTUALENV=1 PYTHONDONTWRITEBYTECODE=1
    PATH=$(without git cc gcc c99 clang)
    make --silent -C "$at" setup && everything 'both "$AT"'
    ended=$?
    rm -rf "$(cd "$at" && realpath .venv)"
    exit $ended
)
place_everything-user() {
    local home=$SCRATCH/user ended at
    at=$(hostile "$home") && users_clone "$home" "$at" && rm -rf "$at/.git" || return 1
    mkdir "$SCRATCH/fs" && mount -t tmpfs -o size=8g,mode=711 none "$SCRATCH/fs" && ln -s fs "$SCRATCH/link"
    install -d -m 0700 -o $ACCOUNT "$SCRATCH/fs/of-user"
    mount --bind "$at" "$at" && mount -o remount,ro,bind "$at"
    export AT=$at USERS_HOME=$home ACCOUNT CACHE UMASK=077 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    PATH=$(without git cc gcc c99 clang) # none of root's own programs is in it: others cannot start those
    export SURROUNDINGS="LANG=C TZ=America/New_York CC=/nonexistent PYTHONPATH=/nonexistent VIRTUAL_ENV=/nonexistent PIP_USER=1
        PIP_REQUIRE_VIRTUALENV=1 PYTHONDONTWRITEBYTECODE=1 CONDA_PREFIX=/nonexistent CONDA_DEFAULT_ENV=base
        PENSTOCK_HOME=$SCRATCH/link/of-user/home"
    by_user "$home" 'make --silent -C "$AT" setup' AT="$at" $SURROUNDINGS &&
        everything 'by_user "$USERS_HOME" "both \"\$AT\"" AT="$AT" $SURROUNDINGS'
    ended=$?
    umount "$at" "$SCRATCH/fs"
    return $ended
}
place_noexec() {
    mkdir "$SCRATCH/nx" && mount -t tmpfs -o size=8g,noexec none "$SCRATCH/nx" && clone "$SCRATCH/nx/p" && refused "$SCRATCH/nx/p" noexec
    local ended=$?
    cd / && umount "$SCRATCH/nx"
    return $ended
}
place_full-disk() {
    mkdir "$SCRATCH/full" && mount -t tmpfs -o size=300m none "$SCRATCH/full" && clone "$SCRATCH/full/p" && refused "$SCRATCH/full/p" "GB of disk"
    local ended=$?
    cd / && umount "$SCRATCH/full"
    return $ended
}
without() { # NAMES: a PATH on which every program is but these
    local folder=$SCRATCH/bin-$1 name
    mkdir -p "$folder"
    IFS=: read -ra parts <<<"$PATH"
    for part in "${parts[@]}"; do for program in "$part"/*; do
        name=${program##*/}
        case " $* " in *" $name "*) continue ;; esac
        case $name in *-gcc* | x86_64*) continue ;; esac
        [ -e "$folder/$name" ] || ln -s "$program" "$folder/$name"
    done; done
    echo "$folder"
}

PLACES=$(declare -F | sed -n 's/^declare -f place_//p')
[ "${1:-}" = --list ] && { echo "$PLACES"; exit; }
[ "$(id -u)" = 0 ] || { echo "Run it as root: it becomes other users and mounts file systems." >&2; exit 2; }
export PIP_CACHE_DIR=$CACHE
failed=0
for place in ${*:-$PLACES}; do
    start=$SECONDS
    ("place_$place") >"$SCRATCH/$place.log" 2>&1 </dev/null
    case $? in 0) word=pass ;; 77) word=skip ;; *) word=FAIL; failed=1; cp "$SCRATCH/$place.log" "/tmp/place-$place.log" ;; esac
    printf '%-18s %s  %d s%s\n' "$place" $word $((SECONDS - start)) "$([ $word = FAIL ] && echo "  see /tmp/place-$place.log")"
    find "$SCRATCH" -mindepth 1 -maxdepth 1 ! -name '*.log' -exec rm -rf {} +
done
for folder in /var/lib/penstock/home-*; do
    [ -e "$folder/home" ] && case $(cat "$folder/home") in "$SCRATCH"/*) rm -rf "$folder" ;; esac
done
id -u $ACCOUNT >/dev/null 2>&1 && userdel $ACCOUNT
rm -rf "$SCRATCH"
exit $failed
