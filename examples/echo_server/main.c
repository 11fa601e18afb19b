/*
 * An HTTP/1.1 and echo server on libuv: a coroutine for each connection, all memory from pools. The
 * program echo_server_malloc is the same source with every object from malloc; --allocator=malloc
 * goes there.
 *
 *     echo_server --port=8080 --workers=2 --stats
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "acceptor.h"
#include "connection.h"
#include "core/async_memory_pool.h"
#include "worker.h"

#define WORKERS_MAX 64u
#define PATH_BYTES  4096u

static const char usage[] =
    "usage: echo_server [options]\n"
    "  --port=N            port on 127.0.0.1; 0 takes a free one (0)\n"
    "  --workers=N         threads with a loop each (1)\n"
    "  --allocator=KIND    pool or malloc: where every object comes from (pool)\n"
    "  --idle-timeout=S    seconds of silence that end a connection (60)\n"
    "  --drain-timeout=S   seconds that the end may take (5)\n"
    "  --drain-quiet=S     seconds of silence that end a connection then (0.2)\n"
    "  --stats             counts on standard output at the end\n"
    "A connection whose first byte is a capital letter speaks HTTP/1.1 (GET /, GET /stats, POST\n"
    "to any target sends the body back); any other gets its bytes back. The first line of output\n"
    "is \"listening on 127.0.0.1:<port>\". SIGTERM and SIGINT end the server: nobody new, an\n"
    "answer to every request that was received, exit code 0.\n";

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"workers", required_argument, NULL, 'w'},
    {"allocator", required_argument, NULL, 'a'},
    {"idle-timeout", required_argument, NULL, 'i'},
    {"drain-timeout", required_argument, NULL, 'd'},
    {"drain-quiet", required_argument, NULL, 'q'},
    {"stats", no_argument, NULL, 's'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool number_set(int option, const char *text, struct settings *out)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || value < 0 || value > 1e6) {
        return false;
    }
    switch (option) {
    case 'p':
        out->port = (uint16_t)value;
        return value < 65536;
    case 'w':
        out->workers = (unsigned)value;
        return value >= 1 && value <= WORKERS_MAX;
    case 'i':
        out->idle_ms = (unsigned)(value * 1000);
        return value > 0;
    case 'q':
        out->quiet_ms = (unsigned)(value * 1000);
        return true;
    default:
        out->drain_ms = (unsigned)(value * 1000);
        return true;
    }
}

/* False: the command line makes no sense. *wanted: the allocator asked for, or NULL. */
static bool settings_parse(int argc, char **argv, struct settings *out, const char **wanted)
{
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'a':
            *wanted = optarg;
            break;
        case 's':
            out->shows_stats = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        case '?':
            return false;
        default:
            if (!number_set(option, optarg, out)) {
                return false;
            }
        }
    }
    return optind == argc &&
           (*wanted == NULL || strcmp(*wanted, "pool") == 0 || strcmp(*wanted, "malloc") == 0);
}

/* Goes on as the program beside this one that takes its memory elsewhere. Returns on failure. */
static void become(const char *wanted, char **argv)
{
    static const char suffix[] = "_malloc";
    char path[PATH_BYTES];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(suffix));

    if (length <= 0) {
        return;
    }
    path[length] = '\0';
    if (strcmp(wanted, "malloc") == 0) {
        memcpy(path + length, suffix, sizeof(suffix));
    } else if ((size_t)length > sizeof(suffix)) {
        path[(size_t)length - (sizeof(suffix) - 1)] = '\0';
    }
    (void)execv(path, argv);
}

static void descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Starts as many workers as possible; returns how many run. */
static unsigned workers_start(struct worker *workers, const struct settings *settings,
                              struct emp_async_pool *pool)
{
    for (unsigned i = 0; i < settings->workers; i++) {
        workers[i].settings = settings;
        workers[i].pool = pool;
        workers[i].index = i;
        if (!worker_start(&workers[i])) {
            return i;
        }
    }
    return settings->workers;
}

/* Waits for all, adds their counts up. True: all ended in order. */
static bool workers_end(struct worker *workers, unsigned count, struct counts *sum)
{
    bool is_good = true;

    for (unsigned i = 0; i < count; i++) {
        const struct counts *one = &workers[i].counts;

        is_good = worker_join(&workers[i]) && is_good;
        sum->accepted += one->accepted;
        sum->requests += one->requests;
        sum->refused += one->refused;
        sum->timeouts += one->timeouts;
        sum->vanished += one->vanished;
        sum->bytes_in += one->bytes_in;
        sum->bytes_out += one->bytes_out;
    }
    return is_good;
}

static void on_leak(const struct emp_async_leak *leak, void *arg)
{
    (void)arg;
    fprintf(stderr, "echo_server: %llu objects of kind %s were never given back (%s)\n",
            (unsigned long long)leak->objects, leak->kind,
            leak->function == NULL ? "?" : leak->function);
}

/* The exit code. */
static int serve(const struct settings *settings)
{
    static struct worker workers[WORKERS_MAX];
    struct emp_async_pool *pool = NULL;
    struct counts sum = {0};
    uint16_t port = settings->port;
    int fd = acceptor_listen(&port);

    if (fd < 0) {
        fprintf(stderr, "echo_server: cannot listen on port %u\n", settings->port);
        return 1;
    }
    if (!connection_memory_begin() || emp_async_pool_create(NULL, &pool) != EMP_OK) {
        fputs("echo_server: no memory for the pools\n", stderr);
        return 1;
    }
    unsigned count = workers_start(workers, settings, pool);
    bool is_good = count == settings->workers;

    if (!is_good) {
        fprintf(stderr, "echo_server: only %u of %u workers could start\n", count,
                settings->workers);
    } else {
        printf("listening on 127.0.0.1:%u\n", port);
        fflush(stdout);
        is_good = acceptor_run(fd, workers, count);
    }
    close(fd);
    for (unsigned i = 0; i < count; i++) {
        worker_stop(&workers[i]);
    }
    is_good = workers_end(workers, count, &sum) && is_good;
    if (settings->shows_stats) {
        char text[512];

        (void)worker_counts_text(&sum, text, sizeof(text));
        fputs(text, stdout);
    }
    size_t leaks = connection_leaks();

    if (leaks != 0) {
        fprintf(stderr, "echo_server: %zu connections and buffers were never given back\n", leaks);
    }
    is_good = emp_async_pool_destroy(pool, on_leak, NULL) == EMP_OK && is_good;
    return is_good && leaks == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct settings settings = {.workers = 1, .idle_ms = 60000, .drain_ms = 5000, .quiet_ms = 200};
    const char *wanted = NULL;

    if (!settings_parse(argc, argv, &settings, &wanted)) {
        fputs(usage, stderr);
        return 2;
    }
    if (wanted != NULL && strcmp(wanted, connection_memory_name()) != 0) {
        become(wanted, argv);
        fprintf(stderr, "echo_server: there is no program for --allocator=%s beside this one\n",
                wanted);
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    acceptor_signals(false); /* only the acceptor asks for them, when it can be stopped */
    descriptors_raise();
    return serve(&settings);
}
