/*
 * One table for each kind of object. The command line (key=value and JSON), QMP
 * arguments, "X,help" and the man page's lists all come from it, and the module gets
 * a plain struct that the table filled: no module sees argv or JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_OPTIONS_H
#define UTIL_OPTIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum OnOffAuto {
    ON_OFF_AUTO_AUTO,
    ON_OFF_AUTO_ON,
    ON_OFF_AUTO_OFF,
} OnOffAuto;

typedef enum OptType {
    OPT_STR,        /* char *, NULL when absent; a NUL in it (JSON can) is 0xc0 0x80, as in QEMU */
    OPT_BOOL,       /* bool */
    OPT_ON_OFF_AUTO,/* OnOffAuto: auto when absent, else on or off */
    OPT_UINT16,     /* uint16_t */
    OPT_UINT32,     /* uint32_t */
    OPT_INT32,      /* int32_t */
    OPT_UINT64,     /* uint64_t */
    OPT_INT64,      /* int64_t */
    OPT_SIZE,       /* uint64_t, with K M G T suffix */
    OPT_MAC,        /* char *, checked: six hexadecimal bytes with colons, not multicast */
    OPT_ENUM,       /* int: index of one of .values */
    OPT_STRUCT,     /* T *, filled by .table, NULL when absent; a union if that has branches */
    OPT_REF,        /* OptRef: a string, the name of one that is there, or an object of .table */
    OPT_LIST,       /* GArray * of what .item says, NULL when absent */
    OPT_ANY,        /* struct json_object *: any value; only JSON has it */
} OptType;

typedef struct OptEnum {
    const char *name;          /* "RunState" */
    const char *const *values; /* ends with NULL */
} OptEnum;

/* At most one of them; none when absent. QEMU's schema calls the two an alternate. */
typedef struct OptRef {
    char *name;
    void *object;
} OptRef;

typedef struct OptTable OptTable;
typedef struct OptMember OptMember;

/*
 * A member of an object, or with a NULL name the item of a list. The user's nested objects
 * and lists come as JSON or, of a Parameter, as "addr.type=unix,addr.path=/x", 64 deep at most.
 */
struct OptMember {
    const char *name;
    OptType type;
    size_t offset;     /* of the value in the config struct */
    size_t has_offset; /* of a bool "was given" in it; 0: none (member 0 is never one) */
    const char *def;   /* default, in the command line's spelling; NULL: zero or absent */
    const char *help;  /* one clause, no full stop */
    bool required;
    bool ignored;      /* taken from QEMU's callers (bus, addr, vectors...): no effect */
    bool lookup;       /* an "id" of what is there already: any text, or it is not found */
    const OptEnum *values;  /* OPT_ENUM */
    const OptTable *table;  /* OPT_STRUCT, OPT_REF */
    const OptMember *item;  /* OPT_LIST */
};

/* What a union has besides, where its tag has this value. */
typedef struct OptBranch {
    const char *value;
    const OptTable *table;
} OptBranch;

struct OptTable {
    const char *name;  /* "tap", "xen-net-device" */
    size_t size;       /* of the config struct; its first member must not be a has_ flag */
    const OptMember *members; /* ends with a NULL name */
    /* a union: */
    const char *tag;           /* name of the OPT_ENUM among the members that tells the branch */
    const OptBranch *branches; /* ends with a NULL value; a value of the tag may have none */
    size_t branch_offset;      /* of a void *: the struct of the branch's table, or NULL */
    const char *owner;         /* of its properties, as QEMU says of a bad value; NULL: name */
    const char *ref;           /* what an OPT_REF with this table is called; NULL: there is none */
    bool keyval;               /* QEMU reads its key=value as if it were JSON, and says so */
};

/*
 * What a user said, before it is known which table validates it: keys and values in
 * order, from key=value text or from a JSON object.
 */
typedef struct OptDict OptDict;
struct json_object;

/* QEMU talks of "Parameter 'x'" of options and of "Property 'driver.x'" of devices. */
typedef enum OptWords {
    OPT_PARAMETERS,
    OPT_PROPERTIES,
} OptWords;

/*
 * Errors of all these functions: G_OPTION_ERROR. A message may have a second line, a
 * hint for humans: opt_first_line() is what QMP sends.
 */
char *opt_first_line(const char *message);

/*
 * JSON if @text begins with '{', else key=value,... where ",," is a comma. A first word
 * without '=' is the value of @implied_key (if not NULL); others mean "=on".
 */
OptDict *opt_dict_parse(const char *text, const char *implied_key, GError **error);
OptDict *opt_dict_from_json(struct json_object *object); /* NULL: empty; takes references */
void opt_dict_free(OptDict *d);                          /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OptDict, opt_dict_free)

/* Of which "Property 'owner.x'" is, whose value is bad. */
const char *opt_table_owner(const OptTable *table);

/* The string value of @key, the dict's; NULL if absent or no string. */
const char *opt_dict_get(const OptDict *d, const char *key);
/* Takes a required string out: "Parameter 'type' is missing" if there is none. Free it. */
char *opt_dict_take(OptDict *d, const char *key, GError **error);
bool opt_dict_has(const OptDict *d, const char *key);
/* As if "@key=@text" were said last. */
void opt_dict_set(OptDict *d, const char *key, const char *text);
/* "help" or "?" stands among the keys, without a value. */
bool opt_dict_wants_help(const OptDict *d);

/*
 * A zeroed struct with what @d says and the table's defaults, or NULL: missing, unknown and
 * wrong members are named in QEMU's words. An "id" must be an identifier. Of duplicates the last
 * wins, but the first id, as in QEMU. @d is spent. Free with opt_config_free().
 */
void *opt_config_new(const OptTable *table, OptDict *d, OptWords words, GError **error);
void opt_config_free(const OptTable *table, void *config); /* NULL is fine */

/* The value of @m at @slot, as in a config struct, is freed and becomes absent. */
void opt_value_clear(const OptMember *m, void *slot);
/*
 * The value of @m at @slot as JSON, the caller's. Members of an object that are required must
 * be there; of the others a string, object or list that is NULL, or a value whose "was given"
 * is false (that is zero, if it has none), is left out.
 */
struct json_object *opt_value_to_json(const OptMember *m, const void *slot);
/* Whether @json is as opt_value_to_json() would make it of a value of @m; for tests and asserts. */
bool opt_value_matches(const OptMember *m, struct json_object *json);
/* A JSON string as a text of ours: a NUL, which would end it, is 0xc0 0x80. Free it. */
char *opt_json_text(struct json_object *json);
/* The other way; what else is no UTF-8 is U+FFFD. */
struct json_object *opt_json_string(const char *text);

/* QEMU's name of the member's type: "uint32". Free it. */
char *opt_type_name(const OptMember *m);
/* "X options:" and a line for each member, sorted by name, as -device X,help of QEMU. */
char *opt_table_help(const OptTable *table);
/* The same of the branch of a union whose tag is @value, with what all have; NULL: none. */
char *opt_branch_help(const OptTable *table, const char *value);

/*
 * What a user said without its structure, in order: OptFlat items such as "file.driver" and its
 * value; on or off, and "" for JSON's null. For programs that take QEMU's key=value text.
 */
typedef struct OptFlat {
    char *key;
    char *value;
} OptFlat;

GPtrArray *opt_flat_new(void);
GPtrArray *opt_dict_flatten(const OptDict *d);
/* @prefix goes before @key. */
void opt_flat_append(GPtrArray *flat, const char *prefix, const char *key, const char *value);
const char *opt_flat_get(const GPtrArray *flat, const char *key); /* the last one; NULL: none */
char *opt_flat_to_text(const GPtrArray *flat); /* key=value,... */

bool opt_id_wellformed(const char *id);
/* on, yes, true, y; off, no, false, n. */
bool opt_parse_bool(const char *text, bool *ret);
/*
 * A number of bytes: decimal with an optional suffix B, k, M, G, T, P or E (powers of 1024),
 * and with a fraction if that leaves whole bytes to count; or 0x, without a suffix. @unit is
 * the suffix that is meant where there is none: 'B', or 'M' for -m.
 */
bool opt_parse_size(const char *text, char unit, uint64_t *ret);
/* A decimal or 0x number, nothing else before or behind it. */
bool opt_parse_uint(const char *text, uint64_t max, uint64_t *ret);

#endif
