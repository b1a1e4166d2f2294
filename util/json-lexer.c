/*
 * From bytes to tokens. Accepts what QEMU's lexer accepts, and recovers where it does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "json-internal.h"

static bool is_punctuation(char c)
{
    return c == '{' || c == '}' || c == '[' || c == ']' || c == ':' || c == ',';
}

/* Not in a string, not in UTF-8: clients send 0xfe or 0xff to be understood again. */
static bool is_control(char c)
{
    return (guchar)c < 0x20 || (guchar)c >= 0xfe;
}

static JsonLexResult lex_go(JsonLexer *l, JsonLexState state)
{
    l->state = state;
    return JSON_LEX_MORE;
}

static JsonLexResult lex_done(JsonLexer *l, JsonLexResult how)
{
    l->state = JSON_LEX_START;
    return how;
}

static JsonLexResult lex_stray(JsonLexer *l)
{
    l->state = JSON_LEX_RECOVERY;
    return JSON_LEX_STRAY;
}

static JsonLexResult lex_start(JsonLexer *l, char c, JsonTokenType *ret_type)
{
    switch (c) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return JSON_LEX_SKIP;
    case '"':
    case '\'':
        l->quote = c;
        return lex_go(l, JSON_LEX_STRING);
    case '-':
        return lex_go(l, JSON_LEX_MINUS);
    case '0':
        return lex_go(l, JSON_LEX_ZERO);
    default:
        break;
    }
    if (is_punctuation(c)) {
        *ret_type = JSON_TOKEN_PUNCTUATION;
        return JSON_LEX_LAST;
    }
    if (g_ascii_isdigit(c)) {
        return lex_go(l, JSON_LEX_DIGITS);
    }
    return g_ascii_islower(c) ? lex_go(l, JSON_LEX_KEYWORD) : lex_stray(l);
}

static JsonLexResult lex_string(JsonLexer *l, char c, JsonTokenType *ret_type)
{
    if (is_control(c)) {
        return lex_stray(l);
    }
    if (c == '\\') {
        return lex_go(l, JSON_LEX_ESCAPE);
    }
    if (c == l->quote) {
        *ret_type = JSON_TOKEN_STRING;
        return lex_done(l, JSON_LEX_LAST);
    }
    return JSON_LEX_MORE;
}

/* Where digits must follow. */
static JsonLexResult lex_digits_follow(JsonLexer *l, char c, JsonLexState digits)
{
    return g_ascii_isdigit(c) ? lex_go(l, digits) : lex_stray(l);
}

static JsonLexResult lex_number_end(JsonLexer *l, JsonTokenType type, JsonTokenType *ret_type)
{
    *ret_type = type;
    return lex_done(l, JSON_LEX_BEFORE);
}

static JsonLexResult lex_integer(JsonLexer *l, char c, JsonTokenType *ret_type)
{
    bool zero = l->state == JSON_LEX_ZERO;

    if (g_ascii_isdigit(c)) {
        return zero ? lex_stray(l) : JSON_LEX_MORE;
    }
    if (c == '.') {
        return lex_go(l, JSON_LEX_POINT);
    }
    if ((c == 'e' || c == 'E') && !zero) {
        return lex_go(l, JSON_LEX_E);
    }
    return lex_number_end(l, JSON_TOKEN_INTEGER, ret_type);
}

static JsonLexResult lex_fraction(JsonLexer *l, char c, JsonTokenType *ret_type)
{
    if (g_ascii_isdigit(c)) {
        return JSON_LEX_MORE;
    }
    if (l->state == JSON_LEX_FRACTION && (c == 'e' || c == 'E')) {
        return lex_go(l, JSON_LEX_E);
    }
    return lex_number_end(l, JSON_TOKEN_FLOAT, ret_type);
}

static JsonLexResult lex_minus(JsonLexer *l, char c)
{
    return c == '0' ? lex_go(l, JSON_LEX_ZERO) : lex_digits_follow(l, c, JSON_LEX_DIGITS);
}

static JsonLexResult lex_e(JsonLexer *l, char c)
{
    return c == '-' || c == '+' ? lex_go(l, JSON_LEX_E_SIGN)
                                : lex_digits_follow(l, c, JSON_LEX_EXPONENT);
}

static JsonLexResult lex_keyword(JsonLexer *l, char c, JsonTokenType *ret_type)
{
    if (g_ascii_islower(c)) {
        return JSON_LEX_MORE;
    }
    *ret_type = JSON_TOKEN_KEYWORD;
    return lex_done(l, JSON_LEX_BEFORE);
}

static JsonLexResult lex_recovery(JsonLexer *l, char c)
{
    if (is_punctuation(c) || (is_control(c) && c != '\t')) {
        return lex_done(l, JSON_LEX_AGAIN);
    }
    return JSON_LEX_SKIP;
}

JsonLexResult json_lex(JsonLexer *l, char byte, JsonTokenType *ret_type)
{
    switch (l->state) {
    case JSON_LEX_START:
        return lex_start(l, byte, ret_type);
    case JSON_LEX_STRING:
        return lex_string(l, byte, ret_type);
    case JSON_LEX_ESCAPE:
        return is_control(byte) ? lex_stray(l) : lex_go(l, JSON_LEX_STRING);
    case JSON_LEX_MINUS:
        return lex_minus(l, byte);
    case JSON_LEX_ZERO:
    case JSON_LEX_DIGITS:
        return lex_integer(l, byte, ret_type);
    case JSON_LEX_POINT:
        return lex_digits_follow(l, byte, JSON_LEX_FRACTION);
    case JSON_LEX_FRACTION:
    case JSON_LEX_EXPONENT:
        return lex_fraction(l, byte, ret_type);
    case JSON_LEX_E:
        return lex_e(l, byte);
    case JSON_LEX_E_SIGN:
        return lex_digits_follow(l, byte, JSON_LEX_EXPONENT);
    case JSON_LEX_KEYWORD:
        return lex_keyword(l, byte, ret_type);
    case JSON_LEX_RECOVERY:
    default:
        return lex_recovery(l, byte);
    }
}
