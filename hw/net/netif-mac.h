/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_NET_NETIF_MAC_H
#define HW_NET_NETIF_MAC_H

#define NETIF_MAC_SIZE 18 /* with a NUL */

/*
 * The address of the vif @idx of a guest that has none: in Xen's range, and the same for the
 * same @guest and @idx. @guest tells it from guests of other hosts, too.
 */
void netif_default_mac(const char *guest, unsigned idx, char ret_mac[NETIF_MAC_SIZE]);

#endif
