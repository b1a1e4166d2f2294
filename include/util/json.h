/*
 * JSON as QEMU reads it: strings in '' too, values that follow each other without a newline,
 * an error at the byte that is wrong, and the same way back to sense. What is made of it are
 * json-c's objects.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_JSON_H
#define UTIL_JSON_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 1024 /* brackets in brackets */

struct json_object;
typedef struct JsonStream JsonStream;

/*
 * One value, or what was wrong with it ("JSON parse error, ..."), both the receiver's. Both
 * NULL: the value null. A NUL in a member's name is 0xc0 0x80, as in the strings of options.
 */
typedef void JsonStreamFn(void *opaque, struct json_object *value, GError *error);

/* Values have at most @max bytes, blanks not counted. */
JsonStream *json_stream_new(size_t max, JsonStreamFn *fn, void *opaque);
void json_stream_free(JsonStream *s); /* NULL is fine; not from @fn */

/*
 * Reads up to the byte at which @fn was called (more than once for one byte: "1]"), or all.
 * Returns how many bytes that were; linear in them.
 */
size_t json_stream_feed(JsonStream *s, const char *data, size_t len);
/*
 * From now on only objects that have a member are wanted: what is none, or wrong, is read as
 * always and passed over, which is cheap. Also from @fn.
 */
void json_stream_set_terse(JsonStream *s, bool terse);
/* There is no more: what began is an error. */
void json_stream_end(JsonStream *s);
/* A value has begun, its end did not come yet. */
bool json_stream_is_within(const JsonStream *s);
/* Steps done so far, for tests: bounded by the bytes that came. */
uint64_t json_stream_steps(const JsonStream *s);

/* The one value that @text is, in @ret. False: the error. */
bool json_from_text(const char *text, size_t len, struct json_object **ret, GError **error);

#endif
