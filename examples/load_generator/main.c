/*
 * A load generator for the echo server: closed loop (as fast as it goes) or open loop (a fixed
 * rate, latency from the moment a request was due), idle connections by the ten thousand, clients
 * that behave badly. One thread.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "load.h"

static const char usage[] =
    "usage: load_generator --port=N [options]\n"
    "  --host=ADDRESS      IPv4 address of the server (127.0.0.1)\n"
    "  --connections=N     connections with load (32)\n"
    "  --pipeline=N        requests in flight on each, closed loop (1, at most 64)\n"
    "  --rate=N            requests a second in all: open loop (0: closed loop)\n"
    "  --seconds=S         length of the run (2)\n"
    "  --requests=N        end after so many (0: no limit)\n"
    "  --body=BYTES        POST so many bytes, or the length of an echo message (0: GET)\n"
    "  --echo              plain echo instead of HTTP\n"
    "  --idle=N            open N connections that stand idle, say so, hold them\n"
    "  --hold=S            hold them so long (0: until standard input ends)\n"
    "  --behave=HOW        well, vanish, garbage or stall\n"
    "  --seed=N            of the bad behaviour (1)\n"
    "  --json --quiet      result as one line of JSON; no progress\n"
    "Exit code 0: every request was answered as expected.\n";

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

bool is_stopped(void)
{
    return stopped != 0;
}

static const struct option long_options[] = {
    {"host", required_argument, NULL, 'h'},
    {"port", required_argument, NULL, 'p'},
    {"connections", required_argument, NULL, 'c'},
    {"pipeline", required_argument, NULL, 'd'},
    {"rate", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 's'},
    {"requests", required_argument, NULL, 'n'},
    {"body", required_argument, NULL, 'b'},
    {"echo", no_argument, NULL, 'e'},
    {"idle", required_argument, NULL, 'i'},
    {"hold", required_argument, NULL, 'o'},
    {"behave", required_argument, NULL, 'B'},
    {"seed", required_argument, NULL, 'S'},
    {"json", no_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'H'},
    {NULL, 0, NULL, 0},
};

/* False: no such behaviour. */
static bool behaviour_parse(const char *text, enum behaviour *out)
{
    static const char *const names[] = {"well", "vanish", "garbage", "stall"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum behaviour)i;
            return true;
        }
    }
    return false;
}

static bool number_options(int option, const char *text, struct options *out)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || value < 0) {
        return false;
    }
    switch (option) {
    case 'p':
        out->port = (uint16_t)value;
        return value < 65536;
    case 'c':
        out->connections = (unsigned)value;
        return value >= 1 && value <= 1000000;
    case 'd':
        out->pipeline = (unsigned)value;
        return value >= 1 && value <= PIPELINE_MAX;
    case 'r':
        out->rate = value;
        return true;
    case 's':
        out->seconds = value;
        return true;
    case 'n':
        out->requests = (uint64_t)value;
        return true;
    case 'b':
        out->body = (size_t)value;
        return value <= BODY_MAX;
    case 'i':
        out->idle = (unsigned)value;
        return value <= 1000000;
    case 'o':
        out->hold = value;
        return true;
    default:
        out->seed = (uint64_t)value;
        return true;
    }
}

/* False: the command line makes no sense. */
static bool options_parse(int argc, char **argv, struct options *out)
{
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        bool is_good = option != '?';

        switch (option) {
        case 'h':
            out->host = optarg;
            break;
        case 'e':
            out->is_echo = true;
            break;
        case 'j':
            out->is_json = true;
            break;
        case 'q':
            out->is_quiet = true;
            break;
        case 'B':
            is_good = behaviour_parse(optarg, &out->behaviour);
            break;
        case 'H':
            fputs(usage, stdout);
            exit(0);
        case '?':
            break;
        default:
            is_good = number_options(option, optarg, out);
            break;
        }
        if (!is_good) {
            return false;
        }
    }
    if (out->is_echo && out->body == 0) {
        out->body = 64;
    }
    return out->port != 0 && optind == argc && (out->rate == 0 || out->pipeline == 1);
}

/* As many descriptors as the system gives. */
static void descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void print_json(const struct result *result)
{
    const struct histogram *latency = &result->latency;

    printf("{\"seconds\": %.3f, \"sent\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"rate\": %.1f, ",
           result->seconds, result->sent, result->answered,
           result->seconds > 0 ? (double)result->answered / result->seconds : 0);
    printf("\"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 ", \"p999_ns\": %" PRIu64
           ", \"max_ns\": %" PRIu64 ", ",
           histogram_at(latency, 0.5), histogram_at(latency, 0.99), histogram_at(latency, 0.999),
           latency->max);
    printf("\"wrong\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"refused\": %" PRIu64
           ", \"closed\": %" PRIu64 ", \"cycles\": %" PRIu64 "}\n",
           result->wrong, result->lost, result->refused, result->closed, result->cycles);
}

static void print_text(const struct result *result)
{
    const struct histogram *latency = &result->latency;

    printf("%" PRIu64 " answers in %.2f s: %.0f a second\n", result->answered, result->seconds,
           result->seconds > 0 ? (double)result->answered / result->seconds : 0);
    if (latency->total > 0) {
        printf("latency us: p50 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n",
               (double)histogram_at(latency, 0.5) / 1e3, (double)histogram_at(latency, 0.99) / 1e3,
               (double)histogram_at(latency, 0.999) / 1e3, (double)latency->max / 1e3);
    }
    printf("wrong %" PRIu64 ", lost %" PRIu64 ", refused %" PRIu64 ", closed %" PRIu64
           ", cycles %" PRIu64 "\n",
           result->wrong, result->lost, result->refused, result->closed, result->cycles);
}

int main(int argc, char **argv)
{
    static struct result result;
    struct options options = {
        .host = "127.0.0.1", .connections = 32, .pipeline = 1, .seconds = 2, .seed = 1};

    if (!options_parse(argc, argv, &options)) {
        fputs(usage, stderr);
        return 2;
    }
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    descriptors_raise();
    bool is_run = options.idle > 0                   ? run_idle(&options, &result)
                  : options.behaviour != BEHAVE_WELL ? run_bad(&options, &result)
                                                     : run_load(&options, &result);

    if (!options.is_quiet) {
        fputs("\r                                        \r", stderr);
    }
    if (!is_run) {
        fprintf(stderr, "load_generator: no connection to %s port %u\n", options.host,
                options.port);
        return 1;
    }
    if (options.is_json) {
        print_json(&result);
    } else {
        print_text(&result);
    }
    return result.wrong == 0 && result.lost == 0 && result.refused == 0 ? 0 : 1;
}
