# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the machine is made of: Debian's packages, and the program under test.

# need_packages GROUP
need_packages() {
    "$top/scripts/deps" "$1" || cannot "packages are missing"
}

# The program under test, in $ringtap: as given, or of a build of this tree, $build or a release one.
find_ringtap() {
    local dir=${build:-$top/build-release}
    if [ -z "$ringtap" ]; then
        ringtap=$dir/ringtap
        say "builds $ringtap"
        {
            "$top/scripts/deps" build &&
            { [ -e "$dir/build.ninja" ] || "$top/configure" --release; } &&
            ninja -C "$dir" ringtap
        } > "$work/build.log" 2>&1 || { cat "$work/build.log" >&2; die "the build failed"; }
    fi
    [ -x "$ringtap" ] || die "not a program: $ringtap"
}

# kernel_package VERSION: the package that Debian's metapackage stands for.
kernel_package() {
    case $1 in
        6.1) apt-cache depends linux-image-amd64 ;;
        6.12) backports_apt cache depends linux-image-amd64 ;;
        *) die "no such kernel: $1 (6.1 or 6.12)" ;;
    esac | awk -v want="linux-image-$1" '$1 == "Depends:" && index($2, want ".") == 1 { print $2; exit }'
}
