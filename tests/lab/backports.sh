# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What bookworm-backports has: a newer kernel, a newer QEMU. Packages are unpacked, never installed.

backports=bookworm-backports
backports_options=()

# A machine whose sources lack backports stays as it is: apt gets lists of its own, in the
# cache, from the mirror that bookworm comes from.
backports_ready() {
    local dir=$cache/apt mirror
    if [ -n "$(apt-get indextargets "Codename: $backports")" ]; then
        return
    fi
    mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Codename: bookworm' | head -n 1)
    [ -n "$mirror" ] || cannot "apt's sources have neither bookworm nor $backports"
    mkdir -p "$dir"/{lists,cache/archives}/partial
    printf 'deb %s %s main\n' "$mirror" "$backports" > "$dir/sources"
    backports_options=(
        -o "Dir::Etc::SourceList=$dir/sources" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache"
        -o APT::Sandbox::User=root # or apt warns that its own user cannot read the folder
    )
    (
        flock 9
        # Without a network last time's do, too: what they name may be in the cache.
        if [ -z "$(find "$dir/updated" -mtime -7 2>/dev/null)" ]; then
            if backports_apt get -q -q update > "$dir/log" 2>&1; then
                touch "$dir/updated"
            fi
        fi
    ) 9> "$dir/lock"
}

# backports_apt get|cache ARGUMENT...
backports_apt() {
    local tool=apt-$1
    shift
    "$tool" -t "$backports" ${backports_options[@]+"${backports_options[@]}"} "$@"
}

# package_unpack PACKAGE DIR apt-get|backports: the package's files in DIR/x
package_unpack() {
    local get=(apt-get)
    if [ "$3" = backports ]; then
        get=(backports_apt get)
    fi
    (cd "$2" && "${get[@]}" download -q "$1" > apt.log 2>&1) ||
        { cat "$2/apt.log" >&2; cannot "cannot download $1"; }
    dpkg -x "$2"/*.deb "$2/x"
    rm "$2"/*.deb "$2/apt.log"
}

# backports_version PACKAGE
backports_version() {
    local version
    version=$(backports_apt cache madison "$1" | awk '$3 ~ /bpo/ { print $3; exit }')
    [ -n "$version" ] || cannot "apt knows no $1 of $backports (apt-get update?)"
    printf '%s\n' "$version"
}

# backports_runs PROGRAM: its libraries come with the machine's own QEMU, if both are of Debian 12
backports_runs() {
    local missing
    missing=$(ldd "$1" | awk '/not found/ { print $1 }')
    [ -z "$missing" ] || cannot "QEMU of $backports needs" $missing
}
