/*
 * The protocol of one client: greeting, negotiation, commands, replies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "session.h"

#include <string.h>

#include "qmp-internal.h"
#include "util/json.h"

#define MAX_REJECTED 256u /* in a row, until those of a piece are told by their first */

struct QmpReply {
    QmpSession *s;              /* NULL: the client is gone */
    struct json_object *request; /* whose "id" comes back */
};

struct QmpSession {
    QmpMonitor *m;
    QmpWriteFn *write;
    void *opaque;
    JsonStream *in;
    bool negotiated;
    bool executed;     /* a command, with the bytes that are being fed */
    unsigned rejected; /* in a row: what was no request */
    bool told;         /* so, of this piece */
    QmpReply *later;   /* of the last command; NULL: it was answered */
};

static const char *const error_classes[] = {
    [QMP_ERROR_GENERIC] = "GenericError",
    [QMP_ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
    [QMP_ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound",
    [QMP_ERROR_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
};

static void qmp_session_json(void *opaque, struct json_object *value, GError *error);

static void qmp_session_send(QmpSession *s, struct json_object *msg)
{
    size_t len;
    int how = s->m->pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_PRETTY_TAB |
                             JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN;
    const char *line = json_object_to_json_string_length(msg, how | JSON_C_TO_STRING_NOSLASHESCAPE,
                                                         &len);
    GString *out = g_string_sized_new(len + 2);

    g_string_append_len(out, line, (gssize)len);
    g_string_replace(out, "\xc0\x80", "\\u0000", 0); /* in a member's name, of an id */
    if (s->m->pretty) {
        g_string_replace(out, "\t", "    ", 0); /* in strings both are escaped */
        g_string_replace(out, "\n", "\r\n", 0);
    }
    g_string_append(out, "\r\n");
    s->write(s->opaque, out->str, out->len);
    g_string_free(out, TRUE);
}

static void qmp_session_greet(QmpSession *s)
{
    struct json_object *caps = json_object_new_array();
    struct json_object *qmp = json_object_new_object();
    struct json_object *msg = json_object_new_object();

    json_object_object_add(qmp, "version", qmp_version_json(s->m->qmp));
    json_object_object_add(qmp, "capabilities", caps);
    json_object_object_add(msg, "QMP", qmp);
    qmp_session_send(s, msg);
    json_object_put(msg);
}

QmpSession *qmp_session_new(QmpMonitor *m, QmpWriteFn *write, void *opaque)
{
    QmpSession *s = g_new0(QmpSession, 1);

    s->m = m;
    s->write = write;
    s->opaque = opaque;
    s->in = json_stream_new(QMP_MAX_COMMAND, qmp_session_json, s);
    qmp_session_greet(s);
    return s;
}

void qmp_session_free(QmpSession *s)
{
    if (s) {
        if (s->later) {
            s->later->s = NULL;
        }
        json_stream_free(s->in);
        g_free(s);
    }
}

void qmp_session_event(QmpSession *s, struct json_object *event)
{
    if (s->negotiated) {
        qmp_session_send(s, event);
    }
}

/* Takes @result and @error, of which one is NULL. @request may be NULL, or have no id. */
static void qmp_session_reply(QmpSession *s, struct json_object *result, GError *error,
                              struct json_object *request)
{
    struct json_object *msg = json_object_new_object();
    struct json_object *id;

    if (error) {
        QmpError code = error->domain == QMP_ERROR ? (QmpError)error->code : QMP_ERROR_GENERIC;
        /* what follows is a hint, but what is no JSON may have a second line, too */
        g_autofree char *desc = request ? opt_first_line(error->message)
                                        : g_strdup(error->message);
        struct json_object *e = json_object_new_object();

        json_object_object_add(e, "class", json_object_new_string(error_classes[code]));
        json_object_object_add(e, "desc", opt_json_string(desc));
        json_object_object_add(msg, "error", e);
        g_error_free(error);
    } else {
        json_object_object_add(msg, "return", result);
    }
    if (json_object_object_get_ex(request, "id", &id)) { /* which may be null */
        json_object_object_add(msg, "id", json_object_get(id));
    }
    qmp_session_send(s, msg);
    json_object_put(msg);
}

typedef struct QmpRequest {
    char *execute;
    struct json_object *arguments; /* borrowed */
} QmpRequest;

static bool qmp_request_member(QmpRequest *r, const char *key, struct json_object *value,
                               GError **error)
{
    if (g_str_equal(key, "execute")) {
        if (!json_object_is_type(value, json_type_string)) {
            qmp_set_error(error, QMP_ERROR_GENERIC, "QMP input member '%s' must be a string", key);
            return false;
        }
        r->execute = opt_json_text(value);
        return true;
    }
    if (g_str_equal(key, "arguments")) {
        if (!json_object_is_type(value, json_type_object)) {
            qmp_set_error(error, QMP_ERROR_GENERIC,
                          "QMP input member 'arguments' must be an object");
            return false;
        }
        r->arguments = value;
        return true;
    }
    if (g_str_equal(key, "id")) {
        return true;
    }
    qmp_set_error(error, QMP_ERROR_GENERIC, "QMP input member '%s' is unexpected", key);
    return false;
}

static bool qmp_request_parse(struct json_object *object, QmpRequest *r, GError **error)
{
    if (!json_object_is_type(object, json_type_object)) {
        qmp_set_error(error, QMP_ERROR_GENERIC, "QMP input must be a JSON object");
        return false;
    }
    json_object_object_foreach(object, key, value) {
        if (!qmp_request_member(r, key, value, error)) {
            return false;
        }
    }
    if (!r->execute) {
        qmp_set_error(error, QMP_ERROR_GENERIC, "QMP input lacks member 'execute'");
        return false;
    }
    return true;
}

/* What qmp_capabilities may enable: nothing, for we offer none. In QEMU's words. */
static bool qmp_session_check_enable(struct json_object *arguments, GError **error)
{
    struct json_object *list = NULL;
    size_t len;

    if (!arguments || !json_object_object_get_ex(arguments, "enable", &list)) {
        return true;
    }
    if (!json_object_is_type(list, json_type_array)) {
        qmp_set_error(error, QMP_ERROR_GENERIC,
                      "Invalid parameter type for 'enable', expected: array");
        return false;
    }
    len = json_object_array_length(list);
    for (size_t i = 0; i < len; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        g_autofree char *name = NULL;

        if (!json_object_is_type(item, json_type_string)) {
            qmp_set_error(error, QMP_ERROR_GENERIC,
                          "Invalid parameter type for 'enable[%zu]', expected: string", i);
            return false;
        }
        name = opt_json_text(item);
        if (g_str_equal(name, "oob")) {
            qmp_set_error(error, QMP_ERROR_GENERIC, "Capability oob not available");
        } else {
            qmp_set_error(error, QMP_ERROR_GENERIC,
                          "Parameter 'enable[%zu]' does not accept value '%s'", i, name);
        }
        return false;
    }
    return true;
}

static struct json_object *qmp_session_dispatch(QmpSession *s, const QmpRequest *r,
                                                GError **error)
{
    const QmpEntry *c = qmp_command_find(s->m->qmp, r->execute);
    bool negotiates = g_str_equal(r->execute, "qmp_capabilities");
    struct json_object *result;

    if (s->negotiated && negotiates) {
        qmp_set_error(error, QMP_ERROR_COMMAND_NOT_FOUND,
                      "Capabilities negotiation is already complete, command ignored");
        return NULL;
    }
    if (!s->negotiated && !negotiates) {
        qmp_set_error(error, QMP_ERROR_COMMAND_NOT_FOUND,
                      "Expecting capabilities negotiation with 'qmp_capabilities'");
        return NULL;
    }
    if (!c) {
        qmp_set_error(error, QMP_ERROR_COMMAND_NOT_FOUND, "The command %s has not been found",
                      r->execute);
        return NULL;
    }
    if (negotiates && !qmp_session_check_enable(r->arguments, error)) {
        return NULL;
    }
    result = qmp_command_run(c, s->m, r->arguments, error);
    if (result && negotiates) {
        s->negotiated = true;
    }
    return result;
}

/*
 * What is no request; takes @error, @value may be NULL. A reply for each byte of a flood costs more
 * than all else that a client can ask for; one of each piece it gets, and with an id any.
 */
static void qmp_session_reject(QmpSession *s, struct json_object *value, GError *error)
{
    if (s->rejected >= MAX_REJECTED && s->told && !json_object_object_get_ex(value, "id", NULL)) {
        g_error_free(error);
        return;
    }
    s->rejected += s->rejected < MAX_REJECTED;
    s->told = true;
    json_stream_set_terse(s->in, s->rejected == MAX_REJECTED);
    qmp_session_reply(s, NULL, error, value);
}

static void qmp_session_execute(QmpSession *s, struct json_object *request)
{
    QmpRequest r = { 0 };
    GError *error = NULL;
    struct json_object *result = NULL;

    if (!qmp_request_parse(request, &r, &error)) {
        qmp_session_reject(s, request, error);
        g_free(r.execute);
        return;
    }
    s->rejected = 0;
    json_stream_set_terse(s->in, false);
    result = qmp_session_dispatch(s, &r, &error);
    if (s->later) {
        g_assert(result && !error);
        s->later->request = json_object_get(request);
        json_object_put(result);
    } else {
        qmp_session_reply(s, result, error, request);
    }
    g_free(r.execute);
    s->executed = true;
}

/* What the client sent. */
static void qmp_session_json(void *opaque, struct json_object *value, GError *error)
{
    if (error) {
        qmp_session_reject(opaque, NULL, error);
    } else {
        qmp_session_execute(opaque, value);
        json_object_put(value);
    }
}

QmpReply *qmp_reply_later(QmpMonitor *m)
{
    QmpReply *r = g_new0(QmpReply, 1);

    g_assert(m->session && !m->session->later);
    r->s = m->session;
    m->session->later = r;
    return r;
}

void qmp_reply_send(QmpReply *r, const GError *error)
{
    QmpSession *s = r->s;

    if (s) {
        s->later = NULL;
        qmp_session_reply(s, error ? NULL : json_object_new_object(),
                          error ? g_error_copy(error) : NULL, r->request);
        qmp_monitor_go_on(s->m);
    }
    json_object_put(r->request);
    g_free(r);
}

bool qmp_session_has_executed(const QmpSession *s)
{
    return s->executed;
}

bool qmp_session_is_waiting(const QmpSession *s)
{
    return s->later != NULL;
}

bool qmp_session_is_within(const QmpSession *s)
{
    return json_stream_is_within(s->in);
}

void qmp_session_begin_piece(QmpSession *s)
{
    s->told = false;
    json_stream_set_terse(s->in, false);
}

size_t qmp_session_feed(QmpSession *s, const char *data, size_t len)
{
    s->executed = false;
    return json_stream_feed(s->in, data, len);
}
