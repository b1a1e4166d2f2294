/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_JSON_INTERNAL_H
#define UTIL_JSON_INTERNAL_H

#include <json-c/json.h>

#include "util/json.h"

typedef enum JsonTokenType {
    JSON_TOKEN_PUNCTUATION, /* one of {}[]:, */
    JSON_TOKEN_STRING,      /* with its quotes */
    JSON_TOKEN_INTEGER,
    JSON_TOKEN_FLOAT,
    JSON_TOKEN_KEYWORD,
} JsonTokenType;

/* A piece of the text of a value. */
typedef struct JsonToken {
    JsonTokenType type;
    uint32_t at;
    uint32_t len;
} JsonToken;

/* --- json-lexer.c: which bytes make a token --- */

typedef enum JsonLexState {
    JSON_LEX_START,    /* between tokens */
    JSON_LEX_STRING,
    JSON_LEX_ESCAPE,   /* behind a backslash */
    JSON_LEX_MINUS,
    JSON_LEX_ZERO,
    JSON_LEX_DIGITS,
    JSON_LEX_POINT,
    JSON_LEX_FRACTION,
    JSON_LEX_E,
    JSON_LEX_E_SIGN,
    JSON_LEX_EXPONENT,
    JSON_LEX_KEYWORD,
    JSON_LEX_RECOVERY, /* after an error: up to a byte that may begin something */
} JsonLexState;

typedef struct JsonLexer {
    JsonLexState state;
    char quote; /* of the string */
} JsonLexer;

typedef enum JsonLexResult {
    JSON_LEX_SKIP,   /* the byte belongs to nothing */
    JSON_LEX_AGAIN,  /* neither: look at it again */
    JSON_LEX_MORE,   /* it belongs to the token, which goes on */
    JSON_LEX_LAST,   /* it is the token's last */
    JSON_LEX_BEFORE, /* the token ended before it: look at it again */
    JSON_LEX_STRAY,  /* it cannot be here */
} JsonLexResult;

/* The next byte. @ret_type is set with LAST and BEFORE. */
JsonLexResult json_lex(JsonLexer *l, char byte, JsonTokenType *ret_type);

/* --- json-parser.c: which tokens make a value --- */

#define JSON_PARSE_ERROR "JSON parse error, " /* begins all but those of a limit */

/* All of @tokens, pieces of @text. False: the error. */
bool json_parse(const GArray *tokens, const char *text, struct json_object **ret, GError **error);

#endif
