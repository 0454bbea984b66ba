#!/bin/sh
# Prints the folder of the virtual environment: .venv, unless programs could not be started from there or nothing can be
# written here. A path with spaces or quotes stands in the first line of every script that pip writes, a colon
# separates entries of PATH. Such a checkout gets a folder with a plain path of its own, and .venv is a link to it.
plain() { case $1 in *[!A-Za-z0-9/._@+=-]* | '' | [!/]*) return 1 ;; esac; }
usable() { mkdir -p "$1" 2>/dev/null && test -w "$1" && test -O "$1"; }

if plain "$PWD" && test -w .; then
    echo .venv
    exit
fi
name=venv-$(printf %s "$PWD" | cksum | tr -d ' ')
home=${PENSTOCK_HOME:-}
for place in "$home" "${XDG_CACHE_HOME:-${HOME:-}/.cache}/penstock" "${TMPDIR:-/tmp}/penstock-$(id -u)" "/tmp/penstock-$(id -u)"; do
    if plain "$place" && usable "$place"; then
        echo "$place/$name"
        exit
    fi
done
echo .venv
