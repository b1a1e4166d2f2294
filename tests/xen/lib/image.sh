# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The images, of which a kernel takes one after the other.
#   base     programs, libraries and init, the same for dom0 and guests
#   kernel   a kernel and its modules, the same for dom0 and guests
#   fio      for scenarios that want it (fio=yes)
#   run      what this run adds: the scenario, the program under test
# All but the last are kept in the cache.

modules=(
    xen-netfront xen-netback xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs
    tun bridge veth sch_fq_codel 8021q
    xen-blkfront xen-blkback loop ext4 crc32c_generic
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

base_fill() {
    local root=$1/root
    root_fill "$root"
    mkdir -p "$root"/{guest,etc/xen/scripts,var/log/xen/console,var/lib/xen}
    touch "$root/etc/xen/xl.conf"
    install "$here/lib/init" "$root/init"
    install "$here"/lib/{vif,block}-lab "$root/etc/xen/scripts/"
    pack "$root" > "$1/image"
    rm -rf "$root"
    zcat /boot/xen-4.17-amd64.gz > "$1/xen"
}

base_image() {
    local key
    key=$(root_key "$here"/lib/{init,vif-lab,block-lab,image.sh} /boot/xen-4.17-amd64.gz)
    cached base "$key" base_fill
}

# tool_build NAME: a program of lib/ or of tests/bench, as $work/NAME
tool_build() {
    local sources=("$here/lib/$1.c") flags
    [ -e "${sources[0]}" ] || sources=("$top/tests/bench/$1"*.c)
    flags=$(pkg-config --static --libs xencontrol liburing) || return
    # shellcheck disable=SC2086 # words are meant
    cc -O2 -Wall -D_GNU_SOURCE -static -pthread -o "$work/$1" "${sources[@]}" $flags
}

# run_images BASE KERNEL [FIO]: $work/guest-image and $work/dom0-image
run_images() {
    local guest=$work/guest dom0=$work/dom0 a
    mkdir -p "$guest/lab" "$dom0/guest"
    cp "$lab"/{both,checks,console,guest-side,measure}.sh "$here"/lib/{guest,dom0}*.sh "$guest/lab/"
    cp -r "$scenario" "$guest/lab/scenario"
    [ -z "$ringtap" ] || put "$guest" "$ringtap" /usr/bin/ringtap
    for a in $(setting tools); do
        tool_build "$a" || die "cannot compile $a"
        put "$guest" "$work/$a" "/usr/bin/$a"
    done
    for a in $(setting programs); do
        put "$guest" "$a" "$a"
    done
    pack "$guest" > "$work/extra"
    cat "$1/image" "$2/image" ${3+"$3/image"} "$work/extra" > "$work/guest-image"

    for a in ${adds[@]+"${adds[@]}"}; do
        put "$dom0" "${a%%:*}" "${a#*:}"
    done
    printf '%s\n' ${arguments[@]+"${arguments[@]}"} > "$dom0/guest/arguments"
    ln "$work/guest-image" "$dom0/guest/initrd"
    cp "$2/vmlinux" "$dom0/guest/vmlinux"
    cp "$1/xen" "$work/xen"
    { cat "$work/guest-image"; pack "$dom0"; } > "$work/dom0-image"
}
