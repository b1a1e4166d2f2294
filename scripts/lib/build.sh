# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# For the scripts that run the program: packages, then a release build of the given
# targets. Sets builddir; RINGTAP_BUILD names another one. $top is the project's top
# directory.

build_release() {
    "$top/scripts/deps" build net
    builddir=${RINGTAP_BUILD:-$top/build-release}
    if [ ! -e "$builddir/build.ninja" ]; then
        echo "building in ${builddir#"$top"/} (this takes a minute)"
        "$top/configure" --release --builddir="$builddir" >"$builddir.log" 2>&1 || {
            cat "$builddir.log" >&2
            exit 1
        }
        rm -f "$builddir.log"
    fi
    log=$(mktemp)
    ninja -C "$builddir" "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        rm -f "$log"
        exit 1
    }
    rm -f "$log"
    # Debian's own: needs no module beyond the standard library.
    python=/usr/bin/python3
    [ -x "$python" ] || python=python3
}
