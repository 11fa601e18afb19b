/*
 * The thread of main: listens, hands sockets to the workers in turn, waits for the signal to stop.
 */
#ifndef ECHO_ACCEPTOR_H
#define ECHO_ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* Lets SIGTERM and SIGINT through to the calling thread, or holds them back; threads that it starts
   hold them back as it does. */
void acceptor_signals(bool is_open);

/* Listens on the loopback address. Returns the socket and sets *port, or -1. */
int acceptor_listen(uint16_t *port);

/* Accepts until SIGTERM or SIGINT, and then takes what still waits. False: the loop could not be
   set up. */
bool acceptor_run(int fd, struct worker *workers, unsigned count);

#endif
