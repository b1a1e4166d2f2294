/*
 * QMP and the human monitor: announce-self.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "announce.h"
#include "system.h"

static const OptMember interface_item = { .type = OPT_STR };
static const OptMember announce_members[] = {
    { "initial", OPT_INT64, offsetof(AnnounceParameters, initial), .required = true },
    { "max", OPT_INT64, offsetof(AnnounceParameters, max), .required = true },
    { "rounds", OPT_INT64, offsetof(AnnounceParameters, rounds), .required = true },
    { "step", OPT_INT64, offsetof(AnnounceParameters, step), .required = true },
    { "interfaces", OPT_LIST, offsetof(AnnounceParameters, interfaces), .item = &interface_item },
    { "id", OPT_STR, offsetof(AnnounceParameters, id), .lookup = true },
    { 0 },
};
static const OptTable announce_args = { "AnnounceParameters", sizeof(AnnounceParameters),
                                        announce_members };

/* QEMU takes fewer rounds than none, and goes on for ever. */
static bool announce_self(void *opaque, QmpMonitor *m, const void *args, void *ret,
                          GError **error)
{
    const AnnounceParameters *p = args;

    if (p->rounds < 0) {
        return system_set_error(error, "Parameter 'rounds' expects a non-negative number");
    }
    announce_start(opaque, p);
    return true;
}

static bool hmp_announce_self(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    g_auto(GStrv) names = g_strsplit(args->text, ",", -1);
    g_autoptr(GArray) interfaces = NULL;

    if (args->text[0] != '\0') {
        interfaces = g_array_new(FALSE, FALSE, sizeof(char *));
        g_array_append_vals(interfaces, names, g_strv_length(names));
    }
    announce_start_default(opaque, interfaces, args->second);
    return true;
}

void qmp_announce_register(System *s)
{
    static const QmpCommand commands[] = {
        { "announce-self", &announce_args, .run = announce_self },
        { 0 },
    };
    static const HmpAction actions[] = {
        { "announce_self", "[interfaces] [id]", "Trigger GARP/RARP announcements",
          HMP_TWO_NAMES_OR_LESS, hmp_announce_self },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
    qmp_register_hmp_actions(s->qmp, actions, s);
}
