# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's fio for guests, without what it needs for storage that is no disk: Ceph, Gluster, RDMA and
# others, 60 libraries of 80 MB, which take a guest under emulation half a minute to load at each
# start. One library of ours stands for those that fio names, and ends who calls it.

# symbols defined|undefined FILE...: of its dynamic table, without versions, or with them
symbols() {
    local which=$1
    shift
    nm -D "--$which-only" "$@" | awk 'NF == 2 && $1 == "U" { print $2 } NF == 3 { print $3 }'
}

# fio_stand_in FIO OUT LIBRARY...: a library with all that FIO uses and the LIBRARYs do not have
fio_stand_in() {
    local fio=$1 out=$2
    shift 2
    symbols defined "$@" | sed 's/@.*//' | sort -u > "$out.have"
    symbols undefined "$fio" | awk -F @ -v have="$out.have" '
        BEGIN { while ((getline line < have) > 0) there[line] = 1 }
        !($1 in there) { print $1, $2 }' > "$out.lack"
    awk '{ print "void " $1 "(void) { __builtin_trap(); }" }' "$out.lack" > "$out.c"
    awk 'NF == 2 { of[$2] = of[$2] " " $1 ";" }
        END { for (version in of) print version " {" of[version] " };" }' "$out.lack" > "$out.map"
    cc -shared -fPIC -w -fno-builtin -Wl,--version-script="$out.map" -o "$out" "$out.c"
    rm "$out".*
}

fio_fill() {
    local root=$1/root name path real=() absent=()
    mkdir -p "$root/usr/lib/fio" "$root/usr/bin"
    while read -r name; do
        path=$(ldd /usr/bin/fio | awk -v name="$name" '$1 == name { print $3 }')
        case $name in
            libc.*|libm.*|libz.*|libaio.*|libnuma.*) real+=("$path") ;;
            *) absent+=("$name") ;;
        esac
    done < <(readelf -d /usr/bin/fio | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    fio_stand_in /usr/bin/fio "$root/usr/lib/fio/none.so" "${real[@]}"
    for name in "${absent[@]}"; do
        ln -s none.so "$root/usr/lib/fio/$name"
    done
    install /usr/bin/fio "$root/usr/lib/fio/fio"
    for path in "${real[@]}"; do
        install -D "$(readlink -f "$path")" "$root$path"
    done
    printf '#!/bin/sh\nLD_LIBRARY_PATH=/usr/lib/fio exec /usr/lib/fio/fio "$@"\n' > "$root/usr/bin/fio"
    chmod +x "$root/usr/bin/fio"
    pack "$root" > "$1/image"
    rm -rf "$root"
}

# fio_image: a folder with image, the archive of it
fio_image() {
    local key
    key=$({ stat -L -c '%s %Y' /usr/bin/fio; cat "$here/lib/fio.sh"; } | sha256sum | cut -c1-12)
    cached fio "$key" fio_fill
}
