/*
 * The protocol of one client: greeting, negotiation, commands, replies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "session.h"

#include <string.h>

#include "qmp-internal.h"

struct QmpReply {
    QmpSession *s;           /* NULL: the client is gone */
    struct json_object *id;  /* of the request; NULL: it had none */
};

struct QmpSession {
    QmpMonitor *m;
    QmpWriteFn *write;
    void *opaque;
    struct json_tokener *tok;
    GString *text;     /* of the command that is being read */
    bool negotiated;
    bool skipping;     /* after an error: up to the end of the line */
    bool executed;       /* a command, with the bytes that are being fed */
    QmpReply *later;   /* of the last command; NULL: it was answered */
};

static const char *const error_classes[] = {
    [QMP_ERROR_GENERIC] = "GenericError",
    [QMP_ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
    [QMP_ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound",
};

static void qmp_session_send(QmpSession *s, struct json_object *msg)
{
    size_t len;
    const char *line = json_object_to_json_string_length(
        msg, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    g_autofree char *copy = g_strdup_printf("%s\r\n", line);

    s->write(s->opaque, copy, len + 2);
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
    s->tok = json_tokener_new_ex(QMP_MAX_DEPTH);
    s->text = g_string_new(NULL);
    qmp_session_greet(s);
    return s;
}

void qmp_session_free(QmpSession *s)
{
    if (s) {
        if (s->later) {
            s->later->s = NULL;
        }
        json_tokener_free(s->tok);
        g_string_free(s->text, TRUE);
        g_free(s);
    }
}

void qmp_session_event(QmpSession *s, struct json_object *event)
{
    if (s->negotiated) {
        qmp_session_send(s, event);
    }
}

/* Takes @result and @error, of which one is NULL. @id may be NULL. */
static void qmp_session_reply(QmpSession *s, struct json_object *result, GError *error,
                              struct json_object *id)
{
    struct json_object *msg = json_object_new_object();

    if (error) {
        QmpError code = error->domain == QMP_ERROR ? (QmpError)error->code : QMP_ERROR_GENERIC;
        g_autofree char *desc = opt_first_line(error->message);
        struct json_object *e = json_object_new_object();

        json_object_object_add(e, "class", json_object_new_string(error_classes[code]));
        json_object_object_add(e, "desc", opt_json_string(desc));
        json_object_object_add(msg, "error", e);
        g_error_free(error);
    } else {
        json_object_object_add(msg, "return", result);
    }
    if (id) {
        json_object_object_add(msg, "id", json_object_get(id));
    }
    qmp_session_send(s, msg);
    json_object_put(msg);
}

/* The parts of a request; borrowed from it. */
typedef struct QmpRequest {
    const char *execute;
    struct json_object *arguments;
} QmpRequest;

static bool qmp_request_member(QmpRequest *r, const char *key, struct json_object *value,
                               GError **error)
{
    if (g_str_equal(key, "execute")) {
        if (!json_object_is_type(value, json_type_string)) {
            qmp_set_error(error, QMP_ERROR_GENERIC, "QMP input member '%s' must be a string", key);
            return false;
        }
        r->execute = json_object_get_string(value);
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
        const char *name = json_object_get_string(item);

        if (!json_object_is_type(item, json_type_string)) {
            qmp_set_error(error, QMP_ERROR_GENERIC,
                          "Invalid parameter type for 'enable[%zu]', expected: string", i);
        } else if (g_str_equal(name, "oob")) {
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

/* Takes @object. */
static void qmp_session_execute(QmpSession *s, struct json_object *object)
{
    QmpRequest r = { 0 };
    GError *error = NULL;
    struct json_object *id = NULL;
    struct json_object *result = NULL;

    if (json_object_is_type(object, json_type_object)) {
        json_object_object_get_ex(object, "id", &id);
    }
    if (qmp_request_parse(object, &r, &error)) {
        result = qmp_session_dispatch(s, &r, &error);
    }
    if (s->later) {
        g_assert(result && !error);
        s->later->id = json_object_get(id);
        json_object_put(result);
    } else {
        qmp_session_reply(s, result, error, id);
    }
    s->executed = true;
    json_object_put(object);
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
                          error ? g_error_copy(error) : NULL, r->id);
        qmp_monitor_go_on(s->m);
    }
    json_object_put(r->id);
    g_free(r);
}

static void qmp_session_bad_json(QmpSession *s, const char *why)
{
    qmp_session_reply(s, NULL, g_error_new_literal(QMP_ERROR, QMP_ERROR_GENERIC, why), NULL);
    s->skipping = true;
}

/* Feeds the tokener up to the end of one command. Returns the bytes used, at least 1. */
static size_t qmp_session_parse(QmpSession *s, const char *data, size_t len)
{
    struct json_object *object = json_tokener_parse_ex(s->tok, data, (int)len);
    enum json_tokener_error r = json_tokener_get_error(s->tok);
    size_t used = json_tokener_get_parse_end(s->tok);

    if (r == json_tokener_continue) {
        g_string_append_len(s->text, data, (gssize)len);
        return len;
    }
    if (r != json_tokener_success) {
        size_t offset = s->text->len + used;
        g_autofree char *why = NULL;

        g_string_append_len(s->text, data, (gssize)len);
        why = opt_json_error(s->text->str, s->text->len, offset, (int)r);
        qmp_session_bad_json(s, why);
        used = used > 0 ? used - 1 : 0; /* the bad byte may be the newline itself */
    } else {
        g_autofree char *lax = NULL;

        g_string_append_len(s->text, data, (gssize)used);
        lax = opt_json_laxness(s->text->str, s->text->len);
        if (lax) {
            json_object_put(object);
            qmp_session_bad_json(s, lax);
        } else {
            qmp_session_execute(s, object);
        }
    }
    json_tokener_reset(s->tok);
    g_string_truncate(s->text, 0);
    used = MAX(used, 1);
    if (data[used - 1] == '\n') {
        s->skipping = false; /* this was the end of the line already */
    }
    return used;
}

/*
 * How much of @data the tokener may see at once: up to the end of a line, and not a NUL,
 * which would end its input, nor 0xff, which resynchronises.
 */
static size_t qmp_session_chunk(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n') {
            return i + 1;
        }
        if (data[i] == '\0' || data[i] == '\xff') {
            return i;
        }
    }
    return len;
}

static void qmp_session_resync(QmpSession *s)
{
    s->skipping = false;
    json_tokener_reset(s->tok);
    g_string_truncate(s->text, 0);
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
    return s->text->len > 0;
}

bool qmp_session_feed(QmpSession *s, const char *data, size_t len, size_t *ret_used)
{
    const char *start = data;

    s->executed = false;
    while (len > 0 && !s->executed) {
        size_t chunk = qmp_session_chunk(data, len);
        size_t used = 1;

        if (data[0] == '\xff') {
            qmp_session_resync(s);
        } else if (s->skipping) {
            s->skipping = data[0] != '\n';
        } else if (data[0] == '\0') {
            qmp_session_parse(s, "\1", 1);
        } else if (s->text->len > 0 || !g_ascii_isspace(data[0])) {
            used = qmp_session_parse(s, data, chunk);
        }
        data += used;
        len -= used;
        if (s->text->len > QMP_MAX_COMMAND) {
            return false;
        }
    }
    *ret_used = (size_t)(data - start);
    return true;
}
