/*
 * -object, object-add: iothreads, secrets, and what is only accepted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_OBJECTS_H
#define SYSTEM_OBJECTS_H

#include "system.h"

/* objects.c: iothreads */
typedef struct IoThreadObject {
    char *id;
    IoThread *thread;
    unsigned users; /* devices */
} IoThreadObject;

extern const OptTable iothread_options;
extern const char *const object_types[]; /* ends with NULL */
extern const OptEnum object_type;
const OptTable *object_options(const char *type); /* NULL: there is no such kind */
bool object_add(System *s, OptDict *args, GError **error);
bool object_del(System *s, const char *id, GError **error);
IoThreadObject *object_find(System *s, const char *id);
IoThreadObject *object_of_thread(System *s, const IoThread *thread); /* there is one */
char *object_help(const char *arg, GError **error);
bool object_check_id(System *s, const char *id, GError **error); /* no other object has it */
void iothread_object_free(gpointer opaque);

/* secrets.c */
extern const OptTable secret_options;
bool secret_add(System *s, OptDict *args, GError **error);
void *secret_find(System *s, const char *id); /* NULL: there is none */
GPtrArray *secret_arguments(System *s); /* char * for --object of a daemon, the system's; NULL */
void secret_free(gpointer opaque);

/* inert-objects.c: of kinds that have no meaning here */
extern const OptTable memory_file_options;
extern const OptTable memory_memfd_options;
extern const OptTable memory_ram_options;
extern const OptTable rng_builtin_options;
extern const OptTable rng_random_options;
bool inert_object_add(System *s, const OptTable *options, OptDict *args, GError **error);
void inert_object_free(gpointer opaque);

#endif
