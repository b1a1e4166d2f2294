# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest's image:
#   base     programs, libraries and init
#   kernel   the modules of a kernel
#   run      what this run adds: functions for the guest, and the scenario's
# The first two are kept in the cache.

modules=(virtio_pci virtio_net sch_fq_codel 8021q tun vhost_net)

programs=(
    /usr/bin/bash /usr/bin/iperf3 /usr/sbin/ip /usr/sbin/ethtool /usr/bin/ping /usr/bin/tcpdump
    /bin/nc.openbsd /usr/sbin/tc /usr/bin/ss
    /lib/x86_64-linux-gnu/libgcc_s.so.1 # pthread_cancel() loads it
)

base_fill() {
    local root=$1/root
    root_fill "$root"
    install "$here/lib/init" "$root/init"
    pack "$root" > "$1/image"
    rm -rf "$root"
}

base_image() { cached base "$(root_key "$here"/lib/{init,image.sh})" base_fill; }

# inside_fill ROOT: what a scenario needs that runs ringtap in the guest
inside_fill() {
    local build front nic
    build=$(dirname "$ringtap")
    front=$build/tests/bench/vhost-user-tap nic=$build/tests/qtest/test-virtio-net-pci-vhost
    [ -x "$front" ] && [ -x "$nic" ] ||
        ninja -C "$build" "${front#"$build"/}" "${nic#"$build"/}" > "$work/build.log" 2>&1 ||
        { cat "$work/build.log" >&2; die "the build failed"; }
    put "$1" "$ringtap" /usr/bin/ringtap
    put "$1" "$front" /usr/bin/vhost-user-tap
    put "$1" "$nic" /usr/bin/test-virtio-net-pci-vhost
}

# guest_image BASE KERNEL: $work/initrd
guest_image() {
    local guest=$work/guest
    rm -rf "$guest"
    mkdir -p "$guest/lab"
    cp "$lab"/{both,checks,guest-side}.sh "$here/lib/guest.sh" "$guest/lab/"
    cp -r "$scenario" "$guest/lab/scenario"
    if grep -qx inside=yes "$scenario/settings"; then
        inside_fill "$guest"
    fi
    { cat "$1/image" "$2/image"; pack "$guest"; } > "$work/initrd"
}
