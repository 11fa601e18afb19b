/*
 * HTTP/1.1, as much of it as the server speaks: the head of a request, and the head of an answer.
 * No memory, no sockets.
 */
#ifndef ECHO_HTTP_H
#define ECHO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_BODY_MAX ((uint64_t)1 << 20)
/* A head of an answer never takes more. */
#define HTTP_HEAD_MAX 160u

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

/* What a head says. The strings point into the bytes it was read from. */
struct http_request {
    enum http_method method;
    bool keeps_alive;
    bool expects_continue;
    const char *target;
    size_t target_bytes;
    uint64_t body_bytes;
};

/* What http_parse found. */
enum http_parsed {
    HTTP_WHOLE = 0, /* a head; *used bytes of it */
    HTTP_MORE = 1,  /* no end of the head yet */
    HTTP_BAD = 400, /* no HTTP; the other values are status codes, too */
    HTTP_TOO_BIG = 413,
    HTTP_UNKNOWN_CODING = 501,
    HTTP_BAD_VERSION = 505
};

/* Reads one head from the start of data. */
enum http_parsed http_parse(const char *data, size_t bytes, struct http_request *out, size_t *used);

/* Writes the head of an answer to out, which has HTTP_HEAD_MAX bytes. Returns its length. */
size_t http_answer_head(char *out, unsigned status, uint64_t body_bytes, bool keeps_alive);

#endif
