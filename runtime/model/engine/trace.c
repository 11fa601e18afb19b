/*
 * Purpose: see trace.h.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "A trace"
 */
#include "engine/trace.h"

#include <unistd.h>

#include "engine/access.h"
#include "engine/engine.h"

#define LINE_BYTES     512u
#define LINKED_AT_MOST ((uintptr_t)1 << 32)

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {"load",  "store",       "update",     "fence",
                                        "plain", "futex wait:", "futex wake", "woken"};
    return names[kind];
}

/* Where a message came from. */
static void print_origin(FILE *out, uint16_t message)
{
    const uint16_t event = model_run.message[message].event;
    if (event == MODEL_NONE) {
        fprintf(out, " from the beginning");
    } else {
        const struct model_event *const writer = &model_run.event[event];
        fprintf(out, " from %u (T%u %s:%u)", event + 1u, writer->actor,
                model_site_file(writer->site), writer->site->line);
    }
}

static void print_event(FILE *out, unsigned number, const struct model_event *event)
{
    const struct model_site *const site = event->site;
    fprintf(out, "%4u  T%u  %s:%u  %s", number, event->actor, model_site_file(site), site->line,
            kind_name(event->kind));
    if (event->kind == MODEL_SLEEP) {
        fprintf(out, " sleeps");
    } else if (event->kind == MODEL_FENCED) {
        fprintf(out, " %s", model_order_name(event->order));
    } else if (event->kind <= MODEL_PLAIN_WRITE) {
        fprintf(out, " %s %s", model_order_name(event->order), site->what);
        fprintf(out, event->kind == MODEL_READ ? " -> 0x%llx" : " = 0x%llx",
                (unsigned long long)(event->kind == MODEL_UPDATE ? event->written : event->value));
    }
    if (event->kind == MODEL_UPDATE) {
        fprintf(out, ", was 0x%llx", (unsigned long long)event->value);
    }
    if (event->read != MODEL_NONE) {
        print_origin(out, event->read);
        if (event->newer != 0) {
            fprintf(out, ", %u newer", event->newer);
        }
    }
    fprintf(out, "\n");
}

/* Asks the system's addr2line for the source of an instruction; nothing when it is not there. */
static void print_code(FILE *out, const void *code)
{
    char command[LINE_BYTES];
    char line[LINE_BYTES] = "";
    char program[LINE_BYTES / 2] = "";
    if (code == NULL || readlink("/proc/self/exe", program, sizeof program - 1) <= 0) {
        return;
    }
    extern const char __executable_start;
    /* A program that may lie anywhere is linked at 0; one that may not, where it is. */
    const uintptr_t start = (uintptr_t)&__executable_start;
    const uintptr_t offset = (uintptr_t)code - 1 - (start > LINKED_AT_MOST ? start : 0);
    snprintf(command, sizeof command, "addr2line -e '%s' 0x%lx 2>/dev/null", program,
             (unsigned long)offset);
    FILE *const pipe = popen(command, "r");
    if (pipe == NULL) {
        return;
    }
    if (fgets(line, sizeof line, pipe) != NULL && line[0] != '?') {
        const struct model_site site = {.file = line};
        fprintf(out, "      plain access at %s", model_site_file(&site));
    }
    pclose(pipe);
}

void model_trace(FILE *out)
{
    for (unsigned i = 0; i < model_run.events; i++) {
        print_event(out, i + 1, &model_run.event[i]);
    }
    if (model_run.fault == MODEL_RACE) {
        print_code(out, model_run.race_code[0]);
        print_code(out, model_run.race_code[1]);
    }
    if (model_run.end == MODEL_FAILED) {
        fprintf(out, "      %s\n", model_run.text);
    }
}
