/*
 * Purpose: reads a report back from JSON. A cursor walks the text once; unknown keys are skipped,
 *          so a later writer may add some. No recursion: skipped values are matched by counting
 *          brackets.
 * Owner:   the parent process, one thread.
 */
#include "support/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)64 << 20)

struct json_cursor {
    const char *at;
    bool is_broken; /* once true, every call does nothing */
};

static char json_peek(struct json_cursor *cursor)
{
    cursor->at += strspn(cursor->at, " \t\r\n");
    return (char)(cursor->is_broken ? '\0' : *cursor->at);
}

static void json_expect(struct json_cursor *cursor, char wanted)
{
    if (json_peek(cursor) == wanted) {
        cursor->at++;
    } else {
        cursor->is_broken = true;
    }
}

/* Inside an object or array: true when another member follows, false past the closing bracket. */
static bool json_more(struct json_cursor *cursor, char closing)
{
    char next = json_peek(cursor);

    if (next == closing) {
        cursor->at++;
        return false;
    }
    if (next == ',') {
        cursor->at++;
    }
    cursor->is_broken |= json_peek(cursor) == '\0';
    return !cursor->is_broken;
}

/* A string; what does not fit is dropped, \u escapes become '?'. */
static void json_take_text(struct json_cursor *cursor, char *text, size_t text_bytes)
{
    size_t used = 0;

    json_expect(cursor, '"');
    while (!cursor->is_broken && *cursor->at != '"') {
        char c = *cursor->at;

        if (c == '\0') {
            cursor->is_broken = true;
            break;
        }
        if (c == '\\') {
            cursor->at++;
            c = (char)(*cursor->at == 'u' ? '?' : *cursor->at);
            cursor->at += *cursor->at == 'u' ? 4 : 0;
        }
        cursor->at += *cursor->at != '\0';
        if (used + 1 < text_bytes) {
            text[used++] = c;
        }
    }
    cursor->at += !cursor->is_broken;
    text[used] = '\0';
}

static double json_take_number(struct json_cursor *cursor)
{
    char *end;
    double value;

    json_peek(cursor);
    value = strtod(cursor->at, &end);
    if (end == cursor->at) {
        cursor->is_broken = true;
    }
    cursor->at = end;
    return value;
}

/* Any value. */
static void json_skip(struct json_cursor *cursor)
{
    char unused[2];
    size_t depth = 0;

    do {
        char next = json_peek(cursor);

        if (next == '\0') {
            cursor->is_broken = true;
            return;
        }
        if (next == '"') {
            json_take_text(cursor, unused, sizeof unused);
        } else if (next == '{' || next == '[') {
            depth++;
            cursor->at++;
        } else if (next == '}' || next == ']') {
            depth--;
            cursor->at++;
        } else if (next == ',' || next == ':') {
            cursor->at++;
        } else {
            cursor->at += strcspn(cursor->at, ",:]}\" \t\r\n");
        }
    } while (depth > 0);
}

/* The key of the next member, its colon consumed. */
static void json_take_key(struct json_cursor *cursor, char *key, size_t key_bytes)
{
    json_take_text(cursor, key, key_bytes);
    json_expect(cursor, ':');
}

static void json_take_machine(struct json_cursor *cursor, struct bench_machine *machine)
{
    char key[32];

    json_expect(cursor, '{');
    while (json_more(cursor, '}')) {
        json_take_key(cursor, key, sizeof key);
        if (strcmp(key, "cpu") == 0) {
            json_take_text(cursor, machine->cpu, sizeof machine->cpu);
        } else if (strcmp(key, "kernel") == 0) {
            json_take_text(cursor, machine->kernel, sizeof machine->kernel);
        } else if (strcmp(key, "libc") == 0) {
            json_take_text(cursor, machine->libc, sizeof machine->libc);
        } else if (strcmp(key, "settings") == 0) {
            json_take_text(cursor, machine->settings, sizeof machine->settings);
        } else if (strcmp(key, "cpus") == 0) {
            machine->cpus = (unsigned)json_take_number(cursor);
        } else if (strcmp(key, "memory_bytes") == 0) {
            machine->memory_bytes = (uint64_t)json_take_number(cursor);
        } else {
            json_skip(cursor);
        }
    }
}

static void json_take_contestant(struct json_cursor *cursor, struct bench_contestant *contestant)
{
    char key[32];
    char role[16];

    json_expect(cursor, '{');
    while (json_more(cursor, '}')) {
        json_take_key(cursor, key, sizeof key);
        if (strcmp(key, "name") == 0) {
            json_take_text(cursor, contestant->name, sizeof contestant->name);
        } else if (strcmp(key, "role") == 0) {
            json_take_text(cursor, role, sizeof role);
            cursor->is_broken |= !bench_role_parse(role, &contestant->role);
        } else if (strcmp(key, "api") == 0) {
            contestant->api = (enum bench_api)json_take_number(cursor);
        } else if (strcmp(key, "library") == 0) {
            json_take_text(cursor, contestant->library, sizeof contestant->library);
        } else if (strcmp(key, "version") == 0) {
            json_take_text(cursor, contestant->version, sizeof contestant->version);
        } else {
            json_skip(cursor);
        }
    }
}

static void json_take_contestants(struct json_cursor *cursor, struct bench_field *field)
{
    json_expect(cursor, '[');
    while (json_more(cursor, ']')) {
        if (field->count == BENCH_CONTESTANTS_MAX) {
            cursor->is_broken = true;
            return;
        }
        json_take_contestant(cursor, &field->contestants[field->count++]);
    }
}

static void json_take_missing(struct json_cursor *cursor, struct bench_field *field)
{
    char key[32];

    json_expect(cursor, '[');
    while (json_more(cursor, ']') && field->absence_count < BENCH_CONTESTANTS_MAX) {
        struct bench_absence *absence = &field->absences[field->absence_count++];

        json_expect(cursor, '{');
        while (json_more(cursor, '}')) {
            bool is_name;

            json_take_key(cursor, key, sizeof key);
            is_name = strcmp(key, "name") == 0;
            json_take_text(cursor, is_name ? absence->name : absence->why,
                           is_name ? sizeof absence->name : sizeof absence->why);
        }
    }
}

static void json_take_failures(struct json_cursor *cursor, struct bench_report *report)
{
    char key[32];

    json_expect(cursor, '[');
    while (json_more(cursor, ']')) {
        struct bench_failure failure = {.workload = ""};

        json_expect(cursor, '{');
        while (json_more(cursor, '}')) {
            json_take_key(cursor, key, sizeof key);
            if (strcmp(key, "workload") == 0) {
                json_take_text(cursor, failure.workload, sizeof failure.workload);
            } else if (strcmp(key, "contestant") == 0) {
                json_take_text(cursor, failure.contestant, sizeof failure.contestant);
            } else {
                json_take_text(cursor, failure.why, sizeof failure.why);
            }
        }
        bench_report_fail(report, failure.workload, failure.contestant, failure.why);
    }
}

/* {"name": [values of the rounds], ...} */
static void json_take_values(struct json_cursor *cursor, const struct bench_field *field,
                             struct bench_row *row)
{
    char name[32];

    json_expect(cursor, '{');
    while (json_more(cursor, '}')) {
        const struct bench_contestant *contestant;

        json_take_key(cursor, name, sizeof name);
        contestant = bench_field_find(field, name);
        if (contestant == NULL) {
            cursor->is_broken = true;
            return;
        }
        json_expect(cursor, '[');
        while (json_more(cursor, ']')) {
            bench_row_add(row, (size_t)(contestant - field->contestants), json_take_number(cursor));
        }
    }
}

static void json_take_row(struct json_cursor *cursor, struct bench_report *report)
{
    char key[32];
    char unit[32];
    struct bench_row row = {.workload = ""};

    json_expect(cursor, '{');
    while (json_more(cursor, '}')) {
        json_take_key(cursor, key, sizeof key);
        if (strcmp(key, "workload") == 0) {
            json_take_text(cursor, row.workload, sizeof row.workload);
        } else if (strcmp(key, "metric") == 0) {
            json_take_text(cursor, row.metric, sizeof row.metric);
        } else if (strcmp(key, "unit") == 0) {
            json_take_text(cursor, unit, sizeof unit);
            cursor->is_broken |= !bench_unit_parse(unit, &row.unit);
        } else if (strcmp(key, "detail") == 0) {
            row.is_detail = json_peek(cursor) == 't';
            json_skip(cursor);
        } else if (strcmp(key, "goal") == 0) {
            row.goal = json_take_number(cursor);
        } else if (strcmp(key, "values") == 0) {
            json_take_values(cursor, &report->field, &row);
        } else {
            json_skip(cursor);
        }
    }
    if (!cursor->is_broken) {
        *bench_report_row(report, row.workload, row.metric) = row;
    }
}

static void json_take_report(struct json_cursor *cursor, struct bench_report *report)
{
    char key[32];
    char schema[32] = "";

    json_expect(cursor, '{');
    while (json_more(cursor, '}')) {
        json_take_key(cursor, key, sizeof key);
        if (strcmp(key, "schema") == 0) {
            json_take_text(cursor, schema, sizeof schema);
            cursor->is_broken |= strcmp(schema, BENCH_SCHEMA) != 0;
        } else if (strcmp(key, "date") == 0) {
            json_take_text(cursor, report->machine.date, sizeof report->machine.date);
        } else if (strcmp(key, "commit") == 0) {
            json_take_text(cursor, report->machine.commit, sizeof report->machine.commit);
        } else if (strcmp(key, "machine") == 0) {
            json_take_machine(cursor, &report->machine);
        } else if (strcmp(key, "benchtime_s") == 0) {
            report->benchtime_s = json_take_number(cursor);
        } else if (strcmp(key, "rounds") == 0) {
            report->rounds = (unsigned)json_take_number(cursor);
        } else if (strcmp(key, "seed") == 0) {
            report->seed = (uint64_t)json_take_number(cursor);
        } else if (strcmp(key, "contestants") == 0) {
            json_take_contestants(cursor, &report->field);
        } else if (strcmp(key, "missing") == 0) {
            json_take_missing(cursor, &report->field);
        } else if (strcmp(key, "failures") == 0) {
            json_take_failures(cursor, report);
        } else if (strcmp(key, "rows") == 0) {
            json_expect(cursor, '[');
            while (json_more(cursor, ']')) {
                json_take_row(cursor, report);
            }
        } else {
            json_skip(cursor);
        }
    }
    cursor->is_broken |= schema[0] == '\0';
}

/* The whole file as a string; NULL after a message. The caller frees it. */
static char *json_load(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = malloc(FILE_BYTES_MAX + 1);
    size_t length;

    if (file == NULL || text == NULL) {
        fprintf(stderr, "bench: %s: %s\n", path, strerror(errno));
        free(text);
        if (file != NULL) {
            fclose(file);
        }
        return NULL;
    }
    length = fread(text, 1, FILE_BYTES_MAX, file);
    text[length] = '\0';
    fclose(file);
    return text;
}

bool bench_json_read(const char *path, struct bench_report *report)
{
    struct json_cursor cursor = {NULL, false};
    char *text = json_load(path);

    memset(report, 0, sizeof *report);
    if (text == NULL) {
        return false;
    }
    cursor.at = text;
    json_take_report(&cursor, report);
    free(text);
    if (cursor.is_broken) {
        fprintf(stderr, "bench: %s is not a report of schema %s\n", path, BENCH_SCHEMA);
        bench_report_clear(report);
    }
    return !cursor.is_broken;
}
