/*
 * Purpose: threads of a workload.
 * Owner:   the thread that made the crew.
 */
#include "support/crew.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/pages.h"

#define STACK_BYTES         ((size_t)128 << 10)
#define STACK_TOUCHED_BYTES ((size_t)32 << 10)
#define PAGE_BYTES          4096u

/* Where one thread finds its crew and its number. */
struct bench_crew_place {
    struct bench_crew *crew;
    unsigned index;
};

/* Makes the stack that bodies use resident: a busy thread has no more of it than an idle one. */
static __attribute__((noinline)) void crew_touch_stack(void)
{
    char pages[STACK_TOUCHED_BYTES];

    for (size_t i = 0; i < sizeof pages; i += PAGE_BYTES) {
        pages[i] = 0;
    }
    __asm__ __volatile__("" : : "r"(pages) : "memory");
}

static void *crew_thread(void *argument)
{
    struct bench_crew_place *place = argument;
    struct bench_crew *crew = place->crew;

    crew_touch_stack();
    pthread_mutex_lock(&crew->lock);
    crew->idle++;
    pthread_cond_broadcast(&crew->changed);
    while (!crew->open) {
        pthread_cond_wait(&crew->changed, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
    crew->body(crew, place->index);
    pthread_mutex_lock(&crew->lock);
    crew->finished++;
    pthread_cond_broadcast(&crew->changed);
    while (!crew->dismissed) {
        pthread_cond_wait(&crew->changed, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

void bench_crew_start(struct bench_crew *crew, unsigned threads)
{
    pthread_attr_t attributes;

    crew->threads = threads;
    crew->idle = 0;
    crew->finished = 0;
    crew->open = false;
    crew->dismissed = false;
    crew->stop = 0;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->changed, NULL);
    crew->handles = bench_pages_map(threads * sizeof *crew->handles);
    crew->places = bench_pages_map(threads * sizeof *crew->places);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (unsigned i = 0; i < threads; i++) {
        int error;

        crew->places[i] = (struct bench_crew_place){crew, i};
        error = pthread_create(&crew->handles[i], &attributes, crew_thread, &crew->places[i]);
        if (error != 0) {
            fprintf(stderr, "bench: thread %u of %u: %s\n", i, threads, strerror(error));
            exit(1);
        }
    }
    pthread_attr_destroy(&attributes);
    pthread_mutex_lock(&crew->lock);
    while (crew->idle < threads) {
        pthread_cond_wait(&crew->changed, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
}

void bench_crew_go(struct bench_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->open = true;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
}

void bench_crew_halt(struct bench_crew *crew)
{
    /* order(bench.crew): relaxed, see bench_crew_stopped. */
    bench_store_relaxed(&crew->stop, 1);
    pthread_mutex_lock(&crew->lock);
    while (crew->finished < crew->threads) {
        pthread_cond_wait(&crew->changed, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
}

void bench_crew_end(struct bench_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->dismissed = true;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->threads; i++) {
        pthread_join(crew->handles[i], NULL);
    }
    bench_pages_unmap(crew->handles, crew->threads * sizeof *crew->handles);
    bench_pages_unmap(crew->places, crew->threads * sizeof *crew->places);
    pthread_cond_destroy(&crew->changed);
    pthread_mutex_destroy(&crew->lock);
}

void bench_crew_run_for(struct bench_crew *crew, unsigned threads, uint64_t ns)
{
    bench_crew_start(crew, threads);
    bench_crew_go(crew);
    bench_sleep_ns(ns);
    bench_crew_halt(crew);
    bench_crew_end(crew);
}
