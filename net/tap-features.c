/*
 * What an administrator asks of an interface (ethtool -K) is kept over TUNSETOFFLOAD, which
 * sets the wanted features anew along with those that are possible. So "possible" is what the
 * NIC says, "wanted" stays what a human says, and the kernel does both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util/fd.h"

static int feature_ioctl(const char *ifname, void *cmd)
{
    AUTO_FD int fd = tap_link_socket(0);
    struct ifreq ifr = { .ifr_data = cmd };

    if (fd < 0) {
        return fd;
    }
    g_strlcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
    return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

int tap_features_read(const char *ifname, TapFeatures *ret_features)
{
    union {
        struct ethtool_gfeatures get;
        uint8_t room[sizeof(struct ethtool_gfeatures) +
                     TAP_FEATURE_WORDS * sizeof(struct ethtool_get_features_block)];
    } cmd = { .get = { .cmd = ETHTOOL_GFEATURES, .size = TAP_FEATURE_WORDS } };
    int r = feature_ioctl(ifname, &cmd);

    memset(ret_features, 0, sizeof(*ret_features));
    if (r < 0) {
        return r;
    }
    ret_features->n = MIN(cmd.get.size, TAP_FEATURE_WORDS);
    for (unsigned i = 0; i < ret_features->n; i++) {
        ret_features->changeable[i] = cmd.get.features[i].available;
        ret_features->wanted[i] = cmd.get.features[i].requested;
    }
    return 0;
}

int tap_features_want(const char *ifname, const TapFeatures *features)
{
    union {
        struct ethtool_sfeatures set;
        uint8_t room[sizeof(struct ethtool_sfeatures) +
                     TAP_FEATURE_WORDS * sizeof(struct ethtool_set_features_block)];
    } cmd = { .set = { .cmd = ETHTOOL_SFEATURES, .size = features->n } };

    for (unsigned i = 0; i < features->n; i++) {
        cmd.set.features[i].valid = features->changeable[i];
        cmd.set.features[i].requested = features->wanted[i] & features->changeable[i];
    }
    return feature_ioctl(ifname, &cmd);
}
