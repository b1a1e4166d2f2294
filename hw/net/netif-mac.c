/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netif-mac.h"

#include <glib.h>

void netif_default_mac(const char *guest, unsigned idx, char ret_mac[NETIF_MAC_SIZE])
{
    g_autofree char *text = g_strdup_printf("ringtap vif %u of %s", idx, guest);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[32];
    gsize len = sizeof(digest);

    g_checksum_update(sum, (const guchar *)text, -1);
    g_checksum_get_digest(sum, digest, &len);
    /* 00:16:3e is Xen's; the upper half is for addresses that somebody assigns */
    g_snprintf(ret_mac, NETIF_MAC_SIZE, "00:16:3e:%02x:%02x:%02x", digest[0] & 0x7fu, digest[1],
               digest[2]);
}
