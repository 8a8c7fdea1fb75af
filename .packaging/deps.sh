#!/bin/sh
# What the build needs and this machine lacks: installed by apt where that may be (root or sudo), else named in one line.
# Where there is no apt, the libraries are looked for by their pkg-config names, and all is well if they are there.
# The Makefile calls it as: DEPENDENCIES="Debian packages" LIBRARIES="name>=version …" HEADERS="…" CC=… deps.sh
set -u

# By pkg-config, and oneDNN, which has no such file everywhere, by its header.
lacking() {
    command -v pkg-config >/dev/null || { printf " %s" "pkg-config, which finds $LIBRARIES"; return; }
    for library in $LIBRARIES; do
        pkg-config --exists "${library%%>=*} >= ${library##*>=}" 2>/dev/null || printf ' %s' "$library"
    done
    for header in $HEADERS; do
        echo "#include <$header>" | $CC ${CPPFLAGS:-} -E - >/dev/null 2>&1 || printf ' <%s>' "$header"
    done
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    missing=$(lacking)
    test -z "$missing" && exit 0
    echo "make: this system has no apt; please install (pkg-config names and versions, headers):$missing" >&2
    exit 1
fi

missing=
for package in $DEPENDENCIES; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
test -z "$missing" && exit 0
if test "$(id -u)" = 0; then
    as=
elif command -v sudo >/dev/null; then
    as=sudo
else
    echo "make: packages are missing; as root: apt-get install$missing" >&2
    test -n "$(lacking)"; exit $((1 - $?)) # what is lacking may only be for tests and figures
fi
echo "Installing from Debian:$missing"
log=$(mktemp)
{ $as apt-get update -qq && $as env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1 || {
    tail -5 "$log" >&2
    rm -f "$log"
    echo "make: that failed; by hand, as root: apt-get install$missing" >&2
    exit 1
}
rm -f "$log"
