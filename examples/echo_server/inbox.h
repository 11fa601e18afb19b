/*
 * Sockets on their way from the acceptor to a worker.
 */
#ifndef ECHO_INBOX_H
#define ECHO_INBOX_H

#include <stdbool.h>

struct emp_async_pool;
struct inbox;

struct inbox *inbox_new(struct emp_async_pool *pool);

/* Hands a socket over, from any thread. False: closed or out of memory; the socket stays ours. */
bool inbox_send(struct inbox *inbox, int fd);

/* The next socket; waits for it in a coroutine of the worker. -1: closed and empty. */
int inbox_receive(struct inbox *inbox);

/* No socket will come any more. Those that are in it are still received. */
void inbox_close(struct inbox *inbox);

/* When the worker has ended. */
void inbox_free(struct inbox *inbox);

#endif
