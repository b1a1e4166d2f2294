# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For those who make images: cpio archives, which a kernel takes one after the other, and which are
# kept in $cache under a name made from what is in them. Nothing is compressed: unpacking costs
# more under emulation than it saves.

# libraries FILE...: the shared libraries that they need, one a line
libraries() {
    local f
    for f in "$@"; do
        ldd "$f" 2>/dev/null | grep -o '/[^ ]*' || true
    done | sort -u
}

# put ROOT SRC DST: one file with its libraries, or a whole folder
put() {
    local lib
    if [ -d "$2" ]; then
        mkdir -p "$1$3"
        cp -r "$2/." "$1$3"
        return
    fi
    [ -e "$2" ] || die "not there: $2"
    install -D "$(readlink -f "$2")" "$1$3"
    libraries "$2" | while read -r lib; do
        [ -e "$1$lib" ] || install -D "$(readlink -f "$lib")" "$1$lib"
    done
}

pack() { (cd "$1" && find . -print0 | cpio --null -o -H newc --quiet); }

# cached KIND KEY FUNCTION ARGUMENT...: the folder of this name in the cache; FUNCTION
# fills it at its first use. Folders that nobody used for a month go.
cached() {
    local dir=$cache/$1-$2 kind=$1 new status
    shift 2
    mkdir -p "$cache"
    (
        flock 9
        if [ ! -e "$dir" ]; then
            printf 'run: makes %s\n' "$dir" >&2
            new=$(mktemp -d "$cache/new.XXXXXX")
            # Not in a condition, where set -e would say nothing.
            (set -e; "$@" "$new")
            status=$?
            if [ "$status" != 0 ]; then
                rm -rf "$new"
                exit "$status"
            fi
            mv "$new" "$dir"
            find "$cache" -maxdepth 1 -name "$kind-*" -mtime +30 -exec rm -rf {} +
        fi
        touch "$dir"
    ) 9> "$cache/lock"
    status=$?
    [ "$status" = 0 ] || exit "$status"
    printf '%s\n' "$dir"
}

# unpack_kernel VMLINUZ: the ELF file inside, by the header of Linux' boot protocol.
# Xen and libxl would unpack it as well, but under emulation, at each boot.
unpack_kernel() {
    local setup payload length unpack
    setup=$(od -An -tu1 -j $((0x1f1)) -N1 "$1")
    payload=$(od -An -tu4 -j $((0x248)) -N4 "$1")
    length=$(od -An -tu4 -j $((0x24c)) -N4 "$1")
    payload=$((payload + (setup + 1) * 512))
    case $(od -An -tx1 -j "$payload" -N4 "$1") in
        ' fd 37 7a 58') unpack='xz -dc --single-stream' ;;
        ' 28 b5 2f fd') unpack='zstd -dcq' ;;
        *) die "a kernel that is packed in an unknown way: $1" ;;
    esac
    # Its length follows the stream, which the unpacker takes for garbage.
    dd if="$1" bs=64K iflag=skip_bytes,count_bytes skip="$payload" count=$((length - 4)) \
        status=none | $unpack
}

# root_fill ROOT: busybox, $programs, and the folders that each init wants
root_fill() {
    local root=$1 p
    mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,proc,sys,dev,run,tmp,root,mnt,lab,etc,var/lib,var/lock}
    install /bin/busybox "$root/bin/"
    for p in $(/bin/busybox --list); do
        [ "$p" = busybox ] || ln -sf busybox "$root/bin/$p"
    done
    for p in "${programs[@]}"; do
        put "$root" "$p" "$p"
    done
    ln -sf /usr/bin/bash "$root/bin/bash"
}

# root_key FILE...: of $programs with their libraries, busybox, and of FILEs that go in as well
root_key() {
    local files=("${programs[@]}" /bin/busybox)
    mapfile -t -O ${#files[@]} files < <(libraries "${programs[@]}")
    { stat -L -c '%n %s %Y' "${files[@]}"; cat "$lab/image.sh" "$@"; } | sha256sum | cut -c1-12
}

kernel_fill() {
    local new=$3 x=$3/x release m
    package_unpack "$1" "$new" "$2"
    release=$(basename "$x"/lib/modules/*)
    unpack_kernel "$x/boot/vmlinuz-$release" > "$new/vmlinux"
    depmod -b "$x" "$release"
    for m in "${modules[@]}"; do
        modprobe -d "$x" -S "$release" --show-depends "$m" | awk '/^insmod/ { print $2 }'
    done | sort -u | while read -r m; do
        install -D "$m" "$new/root/${m#"$x/"}"
    done
    cp "$x/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} \
        "$new/root/lib/modules/$release/"
    depmod -b "$new/root" "$release"
    pack "$new/root" > "$new/image"
    rm -rf "$x" "$new/root"
}

# kernel_image 6.1|6.12: a folder with vmlinux and image, which has $modules and what they need
kernel_image() {
    local package key from=apt-get
    [ "$1" = 6.1 ] || from=backports
    package=$(kernel_package "$1")
    [ -n "$package" ] || cannot "apt knows no kernel $1 (apt-get update?)"
    key=$({ printf '%s\n' "$package" "${modules[@]}"; cat "$lab/image.sh"; } | sha256sum | cut -c1-12)
    cached kernel "$1-$key" kernel_fill "$package" "$from"
}
