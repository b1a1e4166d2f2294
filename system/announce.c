/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "announce.h"

#include "hw/net/nic.h"
#include "system.h"

typedef struct Announce {
    System *s;
    char *id;
    char **interfaces; /* NULL: all */
    int64_t initial, max, rounds, step;
    int64_t done;      /* rounds */
    guint tag;         /* of the next one */
} Announce;

static void announce_free(Announce *a)
{
    g_clear_handle_id(&a->tag, g_source_remove);
    g_strfreev(a->interfaces);
    g_free(a->id);
    g_free(a);
}

/* Milliseconds to the next round. */
static guint announce_delay(const Announce *a)
{
    int64_t more, delay;

    if (__builtin_mul_overflow(a->done - 1, a->step, &more) ||
        __builtin_add_overflow(a->initial, more, &delay) || delay < 0 || delay > a->max) {
        delay = a->max;
    }
    return (guint)CLAMP(delay, 0, G_MAXINT);
}

static void announce_round(Announce *a)
{
    for (unsigned i = 0; i < device_registry_count(a->s->devices); i++) {
        Device *d = device_registry_nth(a->s->devices, i);

        if (d->class->nic && d->class->nic->announce &&
            (!a->interfaces || g_strv_contains((const char *const *)a->interfaces, d->id))) {
            d->class->nic->announce(d);
        }
    }
    a->done++;
}

static void announce_go_on(Announce *a);

static gboolean announce_again(gpointer opaque)
{
    Announce *a = opaque;

    a->tag = 0;
    announce_go_on(a);
    return G_SOURCE_REMOVE;
}

/* @a may be gone when it returns. */
static void announce_go_on(Announce *a)
{
    if (a->done < a->rounds) {
        announce_round(a);
    }
    if (a->done < a->rounds) {
        a->tag = g_timeout_add(announce_delay(a), announce_again, a);
    } else {
        g_hash_table_remove(a->s->announces, a->id);
    }
}

static char **interface_names(const GArray *list)
{
    char **names = g_new0(char *, list->len + 1);

    for (guint i = 0; i < list->len; i++) {
        names[i] = g_strdup(g_array_index(list, char *, i));
    }
    return names;
}

void announce_start(System *s, const AnnounceParameters *p)
{
    Announce *a;

    if (s->state == RUN_SHUTDOWN) {
        return;
    }
    if (!s->announces) {
        s->announces = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                             (GDestroyNotify)announce_free);
    }
    a = g_new(Announce, 1);
    *a = (Announce){
        .s = s,
        .id = g_strdup(p->id ? p->id : ""),
        .interfaces = p->interfaces ? interface_names(p->interfaces) : NULL,
        .initial = p->initial,
        .max = p->max,
        .rounds = p->rounds,
        .step = p->step,
    };
    g_hash_table_replace(s->announces, a->id, a);
    announce_go_on(a);
}

void announce_start_default(System *s, GArray *interfaces, const char *id)
{
    const MigrationParameters *m = &s->migration.parameters;

    announce_start(s, &(AnnounceParameters){
        .initial = (int64_t)m->announce_initial,
        .max = (int64_t)m->announce_max,
        .rounds = (int64_t)m->announce_rounds,
        .step = (int64_t)m->announce_step,
        .interfaces = interfaces,
        .id = (char *)id,
    });
}

void announce_stop(System *s)
{
    g_clear_pointer(&s->announces, g_hash_table_unref);
}
