/*
 * The few commands of QEMU's human monitor that tools send through QMP.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include <string.h>

#include "qmp-internal.h"

#define MAX_SHOWN_WORD 64u

static void print_netdev_queue(GString *out, Netdev *nd, unsigned queue, const char *indent)
{
    g_autofree char *info = nd->ops->info(nd, queue);

    g_string_append_printf(out, "%s%s: index=%u,type=%s,%s\r\n", indent, nd->id, queue,
                           nd->ops->type, info);
}

/* As QEMU: a NIC and its netdev in pairs, one for each queue. */
static void print_vif(void *opaque, const QmpVif *vif)
{
    GString *out = opaque;

    for (unsigned i = 0; i < vif->peer->n_queues; i++) {
        g_string_append_printf(out, "%s: index=%u,type=nic,", vif->id, i);
        if (i == 0) {
            g_string_append_printf(out, "model=%s", vif->type);
            if (vif->mac) {
                g_string_append_printf(out, ",macaddr=%s", vif->mac);
            }
        }
        g_string_append(out, "\r\n");
        print_netdev_queue(out, vif->peer, i, " \\ ");
    }
}

static void print_netdev(void *out, Netdev *nd)
{
    if (!nd->in_use) {
        for (unsigned i = 0; i < nd->n_queues; i++) {
            print_netdev_queue(out, nd, i, "");
        }
    }
}

static void info_network(QmpMonitor *m, GString *out)
{
    m->qmp->sys->foreach_vif(m->qmp->opaque, print_vif, out);
    m->qmp->sys->foreach_netdev(m->qmp->opaque, print_netdev, out);
}

static void info_status(QmpMonitor *m, GString *out)
{
    const char *status = m->qmp->sys->status(m->qmp->opaque);

    if (g_str_equal(status, "running")) {
        g_string_append(out, "VM status: running\r\n");
    } else {
        g_string_append_printf(out, "VM status: paused%s%s%s\r\n",
                               g_str_equal(status, "paused") ? "" : " (",
                               g_str_equal(status, "paused") ? "" : status,
                               g_str_equal(status, "paused") ? "" : ")");
    }
}

static void info_name(QmpMonitor *m, GString *out)
{
    const char *name = m->qmp->sys->guest_name(m->qmp->opaque);

    if (name) {
        g_string_append_printf(out, "%s\r\n", name);
    }
}

static void info_version(QmpMonitor *m, GString *out)
{
    g_string_append_printf(out, "ringtap %s\r\n", m->qmp->sys->version);
}

static const struct {
    const char *command;
    void (*run)(QmpMonitor *m, GString *out);
} hmp_commands[] = {
    { "info network", info_network },
    { "info status", info_status },
    { "info name", info_name },
    { "info version", info_version },
};

char *hmp_run(QmpMonitor *m, const char *command_line)
{
    GString *out = g_string_new(NULL);
    g_autofree char *command = g_strstrip(g_strdup(command_line));
    size_t word = MIN(strcspn(command, " "), MAX_SHOWN_WORD);

    for (size_t i = 0; i < G_N_ELEMENTS(hmp_commands); i++) {
        if (g_str_equal(hmp_commands[i].command, command)) {
            hmp_commands[i].run(m, out);
            return g_string_free(out, FALSE);
        }
    }
    while (word > 0 && ((guchar)command[word] & 0xc0) == 0x80) {
        word--; /* not in the middle of a character */
    }
    g_string_append_printf(out, "unknown command: '%.*s'\r\n", (int)word, command);
    return g_string_free(out, FALSE);
}
