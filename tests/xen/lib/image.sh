# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Images: cpio archives, which a kernel takes one after the other.
#   base     programs, libraries and init, the same for dom0 and guests
#   kernel   a kernel and its modules, the same for dom0 and guests
#   run      what this run adds: the scenario, the program under test
# The first two are kept in the cache, under a name made from what is in them. Nothing
# is compressed: unpacking costs more under emulation than it saves.

modules=(
    xen-netfront xen-netback xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs
    tun bridge veth sch_fq_codel 8021q
)

xen_bin=/usr/lib/xen-4.17/bin
programs=(
    /usr/bin/bash /usr/bin/iperf3 /usr/sbin/ip /usr/sbin/bridge /usr/bin/strace
    /usr/sbin/ethtool /usr/bin/ping /usr/bin/tcpdump /bin/nc.openbsd /usr/sbin/tc
    /usr/bin/xenstore-ls /usr/bin/xenstore-read /usr/bin/xenstore-write
    /usr/bin/xenstore-list /usr/bin/xenstore-watch /usr/bin/xenstore-rm
    "$xen_bin"/{xl,xenstored,xenconsoled,xen-init-dom0,libxl-save-helper}
    /lib/x86_64-linux-gnu/libgcc_s.so.1 # pthread_cancel() loads it
)

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

base_fill() {
    local root=$1/root p
    mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,proc,sys,dev,run,tmp,root,mnt,guest,lab} \
        "$root"/{etc/xen/scripts,var/log/xen/console,var/lib/xen,var/lock}
    install /bin/busybox "$root/bin/"
    for p in $(/bin/busybox --list); do
        [ "$p" = busybox ] || ln -sf busybox "$root/bin/$p"
    done
    for p in "${programs[@]}"; do
        put "$root" "$p" "$p"
    done
    ln -sf /usr/bin/bash "$root/bin/bash"
    touch "$root/etc/xen/xl.conf"
    install "$here/lib/init" "$root/init"
    install "$here/lib/vif-lab" "$root/etc/xen/scripts/vif-lab"
    pack "$root" > "$1/image"
    rm -rf "$root"
    zcat /boot/xen-4.17-amd64.gz > "$1/xen"
}

base_image() {
    local key files
    files=("${programs[@]}" /bin/busybox /boot/xen-4.17-amd64.gz)
    mapfile -t -O ${#files[@]} files < <(libraries "${programs[@]}")
    key=$({ stat -L -c '%n %s %Y' "${files[@]}"
            cat "$here"/lib/{init,vif-lab,image.sh}; } | sha256sum | cut -c1-12)
    cached base "$key" base_fill
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

kernel_image() {
    local package key from=apt-get
    [ "$1" = 6.1 ] || from=backports
    package=$(kernel_package "$1")
    [ -n "$package" ] || cannot "apt knows no kernel $1 (apt-get update?)"
    key=$({ printf '%s\n' "$package" "${modules[@]}"; cat "$here/lib/image.sh"; } | sha256sum | cut -c1-12)
    cached kernel "$1-$key" kernel_fill "$package" "$from"
}

# tool_build NAME: a program of lib/ or of tests/bench, as $work/NAME
tool_build() {
    local sources=("$here/lib/$1.c") flags
    [ -e "${sources[0]}" ] || sources=("$top/tests/bench/$1"*.c)
    flags=$(pkg-config --static --libs xencontrol) || return
    # shellcheck disable=SC2086 # words are meant
    cc -O2 -Wall -D_GNU_SOURCE -static -pthread -o "$work/$1" "${sources[@]}" $flags
}

# run_images BASE KERNEL: $work/guest-image and $work/dom0-image
run_images() {
    local guest=$work/guest dom0=$work/dom0 a
    mkdir -p "$guest/lab" "$dom0/guest"
    cp "$here"/lib/{both,guest,dom0,dom0-net}.sh "$guest/lab/"
    cp -r "$scenario" "$guest/lab/scenario"
    [ -z "$ringtap" ] || put "$guest" "$ringtap" /usr/bin/ringtap
    for a in $(setting tools); do
        tool_build "$a" || die "cannot compile $a"
        put "$guest" "$work/$a" "/usr/bin/$a"
    done
    pack "$guest" > "$work/extra"
    cat "$1/image" "$2/image" "$work/extra" > "$work/guest-image"

    for a in ${adds[@]+"${adds[@]}"}; do
        put "$dom0" "${a%%:*}" "${a#*:}"
    done
    printf '%s\n' ${arguments[@]+"${arguments[@]}"} > "$dom0/guest/arguments"
    ln "$work/guest-image" "$dom0/guest/initrd"
    cp "$2/vmlinux" "$dom0/guest/vmlinux"
    cp "$1/xen" "$work/xen"
    { cat "$work/guest-image"; pack "$dom0"; } > "$work/dom0-image"
}
