/* HTTP/1.1 heads; see http.h. */
#define _GNU_SOURCE
#include "http.h"

#include <string.h>
#include <strings.h>

/* A piece of the head. */
struct text {
    const char *data;
    size_t bytes;
};

static inline bool is_token_byte(unsigned char c)
{
    static const bool token[256] = {
        ['0' ... '9'] = true,  ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
        ['#' ... '\''] = true, ['*'] = true,         ['+'] = true,         ['-'] = true,
        ['.'] = true,          ['^' ... '`'] = true, ['|'] = true,         ['~'] = true,
    };

    return token[c];
}

static bool text_is(struct text text, const char *word)
{
    return text.bytes == strlen(word) && strncasecmp(text.data, word, text.bytes) == 0;
}

static struct text trimmed(const char *begin, const char *end)
{
    while (begin < end && (*begin == ' ' || *begin == '\t')) {
        begin++;
    }
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    return (struct text){begin, (size_t)(end - begin)};
}

/* Digits only, and not beyond what a body may have by far. */
static bool number_parse(struct text text, uint64_t *out)
{
    uint64_t value = 0;

    if (text.bytes == 0 || text.bytes > 15) {
        return false;
    }
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = value;
    return true;
}

static enum http_method method_of(struct text word)
{
    static const struct {
        const char *name;
        size_t bytes;
    } names[] = {{"GET", 3}, {"HEAD", 4}, {"POST", 4}};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (word.bytes == names[i].bytes && memcmp(word.data, names[i].name, word.bytes) == 0) {
            return (enum http_method)i;
        }
    }
    return HTTP_OTHER;
}

/* METHOD SP target SP HTTP/1.x */
static enum http_parsed line_parse(const char *line, const char *end, struct http_request *out)
{
    const char *first = memchr(line, ' ', (size_t)(end - line));
    const char *last = first == NULL ? NULL : memrchr(line, ' ', (size_t)(end - line));

    if (first == NULL || first == line || last == first || end - last != 9) {
        return HTTP_BAD;
    }
    for (const char *at = line; at < first; at++) {
        if (!is_token_byte((unsigned char)*at)) {
            return HTTP_BAD;
        }
    }
    for (const char *at = first + 1; at < last; at++) {
        if ((unsigned char)*at <= ' ' || *at == 127) {
            return HTTP_BAD;
        }
    }
    if (memcmp(last + 1, "HTTP/", 5) != 0) {
        return HTTP_BAD;
    }
    if (memcmp(last + 6, "1.", 2) != 0) {
        return HTTP_BAD_VERSION;
    }
    out->method = method_of((struct text){line, (size_t)(first - line)});
    out->target = first + 1;
    out->target_bytes = (size_t)(last - first - 1);
    out->keeps_alive = last[8] == '1';
    return last[8] == '0' || last[8] == '1' ? HTTP_WHOLE : HTTP_BAD;
}

/* The fields that matter here; others only have to be well formed. */
static enum http_parsed field_apply(struct text name, struct text value, struct http_request *out,
                                    bool *has_length)
{
    if (text_is(name, "content-length")) {
        uint64_t bytes = 0;

        if (!number_parse(value, &bytes) || (*has_length && bytes != out->body_bytes)) {
            return HTTP_BAD;
        }
        *has_length = true;
        out->body_bytes = bytes;
        return bytes > HTTP_BODY_MAX ? HTTP_TOO_BIG : HTTP_WHOLE;
    }
    if (text_is(name, "connection")) {
        if (text_is(value, "close")) {
            out->keeps_alive = false;
        } else if (text_is(value, "keep-alive")) {
            out->keeps_alive = true;
        }
    } else if (text_is(name, "transfer-encoding")) {
        return HTTP_UNKNOWN_CODING;
    } else if (text_is(name, "expect")) {
        out->expects_continue = text_is(value, "100-continue");
    }
    return HTTP_WHOLE;
}

static enum http_parsed field_parse(const char *line, const char *end, struct http_request *out,
                                    bool *has_length)
{
    const char *colon = line;

    while (colon < end && is_token_byte((unsigned char)*colon)) {
        colon++;
    }
    if (colon == line || colon == end || *colon != ':') {
        return HTTP_BAD;
    }
    for (const char *at = colon; at < end; at++) {
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 127) {
            return HTTP_BAD;
        }
    }
    return field_apply((struct text){line, (size_t)(colon - line)}, trimmed(colon + 1, end), out,
                       has_length);
}

enum http_parsed http_parse(const char *data, size_t bytes, struct http_request *out, size_t *used)
{
    const char *limit = data + bytes;
    const char *line = data;
    bool is_first = true;
    bool has_length = false;

    *out = (struct http_request){0};
    for (;;) {
        const char *newline = memchr(line, '\n', (size_t)(limit - line));

        if (newline == NULL) {
            return HTTP_MORE;
        }
        if (newline == line || newline[-1] != '\r') {
            return HTTP_BAD;
        }
        const char *end = newline - 1;
        enum http_parsed parsed = HTTP_WHOLE;

        if (is_first) {
            parsed = line_parse(line, end, out);
            is_first = false;
        } else if (end == line) {
            *used = (size_t)(newline + 1 - data);
            return HTTP_WHOLE;
        } else {
            parsed = field_parse(line, end, out, &has_length);
        }
        if (parsed != HTTP_WHOLE) {
            return parsed;
        }
        line = newline + 1;
    }
}

static struct text reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        struct text line;
    } rows[] = {
#define LINE(code, reason)                                                                       \
    {                                                                                            \
        code,                                                                                    \
        {                                                                                        \
            "HTTP/1.1 " #code " " reason "\r\n", sizeof("HTTP/1.1 " #code " " reason "\r\n") - 1 \
        }                                                                                        \
    }
        LINE(200, "OK"),
        LINE(400, "Bad Request"),
        LINE(404, "Not Found"),
        LINE(405, "Method Not Allowed"),
        LINE(408, "Request Timeout"),
        LINE(413, "Content Too Large"),
        LINE(431, "Request Header Fields Too Large"),
        LINE(501, "Not Implemented"),
        LINE(503, "Service Unavailable"),
        LINE(505, "HTTP Version Not Supported"),
#undef LINE
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status == status) {
            return rows[i].line;
        }
    }
    return rows[1].line;
}

static char *text_put(char *out, struct text text)
{
    memcpy(out, text.data, text.bytes);
    return out + text.bytes;
}

static char *number_put(char *out, uint64_t value)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        *out++ = digits[--count];
    }
    return out;
}

size_t http_answer_head(char *out, unsigned status, uint64_t body_bytes, bool keeps_alive)
{
    static const char length[] = "Content-Length: ";
    static const char close[] = "\r\nConnection: close\r\n\r\n";
    static const char stay[] = "\r\n\r\n";
    char *at = text_put(out, reason_of(status));

    at = text_put(at, (struct text){length, sizeof(length) - 1});
    at = number_put(at, body_bytes);
    at = keeps_alive ? text_put(at, (struct text){stay, sizeof(stay) - 1})
                     : text_put(at, (struct text){close, sizeof(close) - 1});
    return (size_t)(at - out);
}
