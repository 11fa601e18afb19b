/*
 * Purpose: see options.h. One table drives parsing, describing and applying.
 * Owner:   core. Threads: values are relaxed words; setting is serialised by a mutex.
 * Design:  [core.req.options]
 */
#include "core/options.h"

#include <string.h>

#include "core/memory_monitor.h"
#include "core/runtime.h"
#include "local/thread_cache.h"
#include "monitor/emitter.h"
#include "monitor/report.h"
#include "os/os_process.h"
#include "slab/bitmap_expand.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "sync/atomic.h"
#include "thread/mutex.h"

/* Choices of an option, first one is 0; NULL ends. */
static const char *const choices_stats[] = {"off", "text", "json", "openmetrics", NULL};
static const char *const choices_on_error[] = {"abort", "continue", NULL};
static const char *const choices_foreign_free[] = {"abort", "forward", "ignore", NULL};
static const char *const choices_align[] = {"natural", "line", NULL};
static const char *const choices_thp[] = {"auto", "always", "never", NULL};
static const char *const choices_huge_pages[] = {"off", "2m", "1g", NULL};
static const char *const choices_simd[] = {"auto", "c", "avx2", "neon", NULL};
static const char *const choices_valgrind[] = {"auto", "off", NULL};

/* What is fixed about an option. */
struct option_row {
    const char *name;
    const char *environment;
    const char *type;
    const char *default_text;
    bool run_time;
    const char *meaning;
};

static const struct option_row option_rows[EMP_OPTION_COUNT] = {
#define EMP_OPTION(name, type, text, run_time, meaning) \
    {#name, "ECHOMEM_" #name, type, text, run_time, meaning},
#include "core/options.def"
#undef EMP_OPTION
};

static const char *const *const option_choices[EMP_OPTION_COUNT] = {
    [EMP_OPTION_stats] = choices_stats,
    [EMP_OPTION_on_error] = choices_on_error,
    [EMP_OPTION_foreign_free] = choices_foreign_free,
    [EMP_OPTION_align] = choices_align,
    [EMP_OPTION_thp] = choices_thp,
    [EMP_OPTION_huge_pages] = choices_huge_pages,
    [EMP_OPTION_simd] = choices_simd,
    [EMP_OPTION_valgrind] = choices_valgrind,
};

#define EMP_OPTION_TEXT_BYTES 32u

_Static_assert(sizeof(((struct emp_option_info *)0)->current_text) == EMP_OPTION_TEXT_BYTES,
               "an option is described by a whole copy");

static struct {
    struct emp_mutex lock;
    bool started;                                        /* guarded by lock */
    uint64_t values[EMP_OPTION_COUNT];                   /* atomic: option */
    char texts[EMP_OPTION_COUNT][EMP_OPTION_TEXT_BYTES]; /* guarded by lock */
    const char *origins[EMP_OPTION_COUNT];               /* guarded by lock */
} options = {.lock = EMP_MUTEX_INIT(OPTIONS)};

uint64_t emp_option_value(enum emp_option option)
{
    /* order(option): relaxed; a number that may change at any time */
    return emp_load_relaxed(&options.values[option]);
}

/* Decimal digits with a unit from a table "k" "m" "g" (1024) or "ns" "us" "ms" "s" "m". */
static bool parse_number(const char *text, bool is_time, uint64_t *out)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } sizes[] = {{"", 1}, {"k", 1u << 10}, {"m", 1u << 20}, {"g", 1u << 30}},
      times[] = {{"", 1000000}, {"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    uint64_t value = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return false;
        }
    }
    if (at == text) {
        return false;
    }
    for (size_t i = 0; i < (is_time ? sizeof(times) : sizeof(sizes)) / sizeof(sizes[0]); i++) {
        const char *unit = is_time ? times[i].unit : sizes[i].unit;

        if (strcmp(at, unit) == 0 ||
            (!is_time && unit[0] != '\0' && (at[0] | 32) == unit[0] &&
             (at[1] == '\0' || strcmp(at + 1, "iB") == 0 || strcmp(at + 1, "B") == 0))) {
            return !__builtin_mul_overflow(value, is_time ? times[i].factor : sizes[i].factor, out);
        }
    }
    return false;
}

static bool parse_bool(const char *text, uint64_t *out)
{
    static const char *const yes[] = {"1", "on", "true", "yes"};
    static const char *const no[] = {"0", "off", "false", "no"};

    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool parse_choice(enum emp_option option, const char *text, uint64_t *out)
{
    const char *const *choice = option_choices[option];

    if (option == EMP_OPTION_stats && strcmp(text, "1") == 0) {
        text = "text";
    } else if (option == EMP_OPTION_stats && strcmp(text, "0") == 0) {
        text = "off";
    }
    for (uint64_t i = 0; choice[i] != NULL; i++) {
        if (strcmp(choice[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool option_parse(enum emp_option option, const char *text, uint64_t *out)
{
    const char *type = option_rows[option].type;

    if (strlen(text) >= EMP_OPTION_TEXT_BYTES) {
        return false;
    }
    if (strcmp(type, "choice") == 0) {
        return parse_choice(option, text, out);
    }
    return strcmp(type, "bool") == 0 ? parse_bool(text, out)
                                     : parse_number(text, strcmp(type, "time") == 0, out);
}

/* Makes a value effective in the room that it belongs to. */
static void option_apply(enum emp_option option, uint64_t value)
{
    if (option == EMP_OPTION_on_error) {
        emp_report_set_policy(value != 0 ? EMP_REPORT_CONTINUE : EMP_REPORT_ABORT);
    } else if (option == EMP_OPTION_foreign_free) {
        emp_foreign_policy = (enum emp_foreign_policy)value;
    } else if (option == EMP_OPTION_limit) {
        emp_arena_set_limit(value);
    } else if (option == EMP_OPTION_align) {
        emp_size_class_round_to_line(value != 0);
    } else if (option == EMP_OPTION_rate_limits) {
        emp_local_options.rate_limits = value != 0;
    } else if (option == EMP_OPTION_swing) {
        emp_local_options.swing_bytes =
            (uint32_t)(value < EMP_SWING_BYTES_MAX ? value : EMP_SWING_BYTES_MAX);
    } else if (option == EMP_OPTION_thp) {
        emp_arena_set_huge(value == 1);
    } else if (option == EMP_OPTION_simd && value != 0) {
        (void)emp_bitmap_dispatch_force(choices_simd[value]);
    }
}

/* Stores and applies a parsed value. */
static void option_store(enum emp_option option, const char *text, uint64_t value,
                         const char *origin)
{
    const char *canonical = option_choices[option] != NULL ? option_choices[option][value] : text;

    memcpy(options.texts[option], canonical, strlen(canonical) + 1);
    options.origins[option] = origin;
    /* order(option): relaxed; see emp_option_value */
    emp_store_relaxed(&options.values[option], value);
    option_apply(option, value);
}

/* Compares a name with an environment variable's, whatever the case. */
static bool same_name(const char *a, const char *b)
{
    while (*a != '\0' && (*a | 32) == (*b | 32)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

static void option_complain(const char *name, const char *what)
{
    struct emp_emitter emitter;

    emp_emitter_init(&emitter, 2);
    emp_emitter_text(&emitter, "libechomem: ");
    emp_emitter_text(&emitter, name);
    emp_emitter_text(&emitter, what);
    emp_emitter_text(&emitter, "; see `echomem options`\n");
    emp_emitter_flush(&emitter);
}

/* Value of an environment variable whatever its case; NULL when not set. */
static const char *option_environment(const char *name, char *const *environment)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        char key[48];

        if (equals != NULL && (size_t)(equals - *environment) < sizeof(key)) {
            memcpy(key, *environment, (size_t)(equals - *environment));
            key[equals - *environment] = '\0';
            if (same_name(key, name)) {
                return equals + 1;
            }
        }
    }
    return NULL;
}

void emp_options_init(void)
{
    char *const *environment = emp_os_is_privileged() ? NULL : emp_os_environment();

    for (unsigned i = 0; i < EMP_OPTION_COUNT; i++) {
        const char *text = option_environment(option_rows[i].environment, environment);
        uint64_t value = 0;

        if (option_parse((enum emp_option)i, option_rows[i].default_text, &value)) {
            option_store((enum emp_option)i, option_rows[i].default_text, value, "default");
        }
        if (text == NULL) {
            continue;
        }
        if (option_parse((enum emp_option)i, text, &value)) {
            option_store((enum emp_option)i, text, value, "environment");
        } else {
            option_complain(option_rows[i].environment, ": bad value, the default stays");
        }
    }
    options.started = emp_os_environment() != NULL;
}

void emp_options_read_late(void)
{
    if (emp_runtime_start() && !options.started) {
        emp_options_init();
    }
}

enum emp_status emp_option_set(const char *name, const char *value)
{
    uint64_t parsed = 0;

    if (name == NULL || value == NULL || !emp_runtime_start()) {
        return EMP_ERR_INVALID;
    }
    for (unsigned i = 0; i < EMP_OPTION_COUNT; i++) {
        if (strcmp(option_rows[i].name, name) != 0) {
            continue;
        }
        if (!option_rows[i].run_time) {
            return EMP_ERR_STATE;
        }
        if (!option_parse((enum emp_option)i, value, &parsed)) {
            return EMP_ERR_INVALID;
        }
        emp_mutex_lock(&options.lock);
        option_store((enum emp_option)i, value, parsed, "call");
        emp_mutex_unlock(&options.lock);
        return EMP_OK;
    }
    return EMP_ERR_NOT_FOUND;
}

enum emp_status emp_option_describe(size_t index, struct emp_option_info *out)
{
    if (index >= EMP_OPTION_COUNT || out == NULL || !emp_runtime_start()) {
        return EMP_ERR_NOT_FOUND;
    }
    const struct option_row *row = &option_rows[index];

    *out = (struct emp_option_info){.name = row->name,
                                    .type = row->type,
                                    .default_text = row->default_text,
                                    .meaning = row->meaning,
                                    .run_time = row->run_time};
    emp_mutex_lock(&options.lock);
    out->origin = options.origins[index];
    memcpy(out->current_text, options.texts[index], sizeof(out->current_text));
    emp_mutex_unlock(&options.lock);
    return EMP_OK;
}

void emp_options_fork_prepare(void)
{
    emp_mutex_lock(&options.lock);
}

void emp_options_fork_parent(void)
{
    emp_mutex_unlock(&options.lock);
}

void emp_options_fork_child(void)
{
    emp_mutex_reset_in_child(&options.lock);
}
