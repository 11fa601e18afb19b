/* The life of a connection; see connection.h. */
#include "connection.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "async/task.h"
#include "fiber.h"
#include "http.h"
#include "objects.h"
#include "worker.h"

#define NS_PER_MS    1000000u
#define LINGER_MS    500u /* after the last answer, for the other side to read it */
#define LINGER_BYTES 65536u

static const char greeting[] = "hello\n";

static struct emp_scheduler *scheduler_of(const struct connection *connection)
{
    return emp_uv_scheduler(connection->worker->uv);
}

static void connection_unlink(struct connection *connection)
{
    struct worker *worker = connection->worker;

    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        worker->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    worker->live--;
}

static void connection_release(struct connection *connection)
{
    struct worker *worker = connection->worker;

    if (--connection->holders != 0) {
        return;
    }
    connection_unlink(connection);
    connection_object_free(connection);
    worker_check_end(worker);
}

static void on_closed(uv_handle_t *handle)
{
    struct emp_uv_stream *stream = handle->data;

    connection_release((struct connection *)((char *)stream - offsetof(struct connection, stream)));
}

static void connection_close(struct connection *connection)
{
    if (!connection->is_closing) {
        connection->is_closing = true;
        emp_uv_stream_end(&connection->stream);
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
    }
}

/* ---- silence ---- */

static uint64_t quiet_limit_ms(const struct connection *connection)
{
    if (connection->is_over) {
        return LINGER_MS;
    }
    const struct settings *settings = connection->worker->settings;

    return connection->worker->is_draining ? settings->quiet_ms : settings->idle_ms;
}

static void timer_begin(struct connection *connection, uint64_t wait_ms)
{
    connection->timer.deadline_ns = uv_hrtime() + wait_ms * NS_PER_MS;
    (void)scheduler_of(connection)->timer_start(scheduler_of(connection), &connection->timer);
}

/* There was no stack for the coroutine: what it would have done at its end. */
static void connection_never_begun(struct connection *connection)
{
    emp_task_release(connection->task);
    connection->task = NULL;
    connection_close(connection);
    connection_release(connection);
}

/* The timer runs through; only when it fires is it seen whether there was silence all the time. */
static void on_quiet(struct emp_timer *timer)
{
    struct connection *connection =
        (struct connection *)((char *)timer - offsetof(struct connection, timer));
    uint64_t quiet_ms = uv_now(&connection->worker->loop) - connection->active_ms;
    uint64_t limit_ms = quiet_limit_ms(connection);

    if (connection->task != NULL && emp_task_is_complete(connection->task)) {
        connection_never_begun(connection);
        return;
    }
    if (quiet_ms < limit_ms) {
        timer_begin(connection, limit_ms - quiet_ms);
        return;
    }
    if (!emp_uv_stream_interrupt(&connection->stream, UV_ETIMEDOUT)) {
        connection_close(connection); /* it waits for the other side to read */
    }
}

static void timer_end(struct connection *connection)
{
    (void)scheduler_of(connection)->timer_stop(scheduler_of(connection), &connection->timer);
}

static void timer_restart(struct connection *connection)
{
    timer_end(connection);
    connection->active_ms = uv_now(&connection->worker->loop);
    timer_begin(connection, quiet_limit_ms(connection));
}

void connection_cut(struct connection *connection)
{
    connection_close(connection);
}

void connection_hurry(struct connection *connection)
{
    if (!connection->is_closing && !connection->is_over) {
        timer_restart(connection);
    }
}

/* ---- bytes in ---- */

static struct emp_uv_chunk on_buffer(struct emp_uv_stream *stream)
{
    struct connection *connection =
        (struct connection *)((char *)stream - offsetof(struct connection, stream));
    struct buffer *input = connection->input;

    if (input != NULL) {
        return (struct emp_uv_chunk){input->bytes + connection->end,
                                     BUFFER_BYTES - connection->end};
    }
    input = buffer_object_alloc();
    return (struct emp_uv_chunk){input, input == NULL ? 0 : BUFFER_BYTES};
}

static void on_unused(struct emp_uv_stream *stream, void *data)
{
    struct connection *connection =
        (struct connection *)((char *)stream - offsetof(struct connection, stream));

    if (connection->input == NULL) {
        buffer_object_free(data);
    }
}

static const struct emp_uv_stream_calls stream_calls = {on_buffer, on_unused};

static void input_drop(struct connection *connection)
{
    buffer_object_free(connection->input);
    connection->input = NULL;
    connection->begin = connection->end = 0;
}

/* Makes room behind the bytes that are here; gives the buffer back when there are none. */
static void input_settle(struct connection *connection)
{
    uint32_t left = connection->end - connection->begin;

    if (left == 0) {
        if (connection->input != NULL) {
            input_drop(connection);
        }
    } else if (connection->begin > 0) {
        memmove(connection->input->bytes, connection->input->bytes + connection->begin, left);
        connection->begin = 0;
        connection->end = left;
    }
}

/* Waits for more bytes. False: there will be none, or no room for them. */
static bool input_wait(struct connection *connection)
{
    input_settle(connection);
    if (connection->end == BUFFER_BYTES || connection->is_closing) {
        return false;
    }
    struct emp_uv_chunk chunk = fiber_wait(emp_uv_stream_read(&connection->stream));

    if (chunk.bytes <= 0) {
        connection->worker->counts.timeouts += chunk.bytes == UV_ETIMEDOUT;
        connection->worker->counts.vanished += connection->input != NULL;
        return false;
    }
    if (connection->input == NULL) {
        connection->input = chunk.data;
        connection->begin = connection->end = 0;
    }
    connection->end += (uint32_t)chunk.bytes;
    connection->active_ms = uv_now(&connection->worker->loop);
    connection->worker->counts.bytes_in += (uint64_t)chunk.bytes;
    return true;
}

/* ---- bytes out ---- */

/* Writes; waits where the other side reads slowly. False: it is gone. */
static bool output_write(struct connection *connection, void *data, size_t bytes)
{
    struct emp_future *rest = NULL;

    if (connection->is_closing) {
        return false;
    }
    enum emp_status status = emp_uv_stream_write(&connection->stream, data, bytes, &rest);

    if (status == EMP_ERR_AGAIN) {
        status = fiber_wait(rest).bytes == 0 ? EMP_OK : EMP_ERR_CLOSED;
    }
    connection->worker->counts.bytes_out += status == EMP_OK ? bytes : 0;
    return status == EMP_OK && !connection->is_closing;
}

static bool output_flush(struct connection *connection)
{
    uint32_t bytes = connection->output_bytes;

    connection->output_bytes = 0;
    bool is_out = bytes == 0 || output_write(connection, connection->output->bytes, bytes);

    if (connection->output != NULL) {
        buffer_object_free(connection->output);
        connection->output = NULL;
    }
    return is_out;
}

/* Room for so many bytes, at most a buffer, behind what is there. NULL: gone, or out of memory. */
static char *output_room(struct connection *connection, size_t bytes)
{
    if (BUFFER_BYTES - connection->output_bytes < bytes && !output_flush(connection)) {
        return NULL;
    }
    if (connection->output == NULL) {
        connection->output = buffer_object_alloc();
    }
    return connection->output == NULL ? NULL : connection->output->bytes + connection->output_bytes;
}

static bool output_add(struct connection *connection, const char *data, size_t bytes)
{
    while (bytes > 0) {
        size_t room = BUFFER_BYTES - connection->output_bytes;
        size_t part = bytes < room || room == 0 ? bytes : room;

        part = part < BUFFER_BYTES ? part : BUFFER_BYTES;
        char *out = output_room(connection, part);

        if (out == NULL) {
            return false;
        }
        memcpy(out, data, part);
        connection->output_bytes += (uint32_t)part;
        data += part;
        bytes -= part;
    }
    return true;
}

static bool head_add(struct connection *connection, unsigned status, uint64_t body_bytes,
                     bool keeps_alive)
{
    char *out = output_room(connection, HTTP_HEAD_MAX);

    if (out != NULL) {
        connection->output_bytes +=
            (uint32_t)http_answer_head(out, status, body_bytes, keeps_alive);
    }
    return out != NULL;
}

/* ---- HTTP ---- */

/* An answer without a body of interest, after which the connection ends. */
static bool refuse(struct connection *connection, unsigned status)
{
    connection->worker->counts.refused++;
    (void)head_add(connection, status, 0, false);
    return false;
}

/* Sends the body back as it comes, never holding more than a buffer of it. */
static bool body_echo(struct connection *connection, uint64_t left)
{
    while (left > 0) {
        uint32_t have = connection->end - connection->begin;
        uint32_t part = left < have ? (uint32_t)left : have;

        if (!output_add(connection, connection->input->bytes + connection->begin, part)) {
            return false;
        }
        connection->begin += part;
        left -= part;
        if (left > 0 && (!output_flush(connection) || !input_wait(connection))) {
            return false;
        }
    }
    return true;
}

static bool answer_text(struct connection *connection, const struct http_request *request,
                        const char *text, size_t bytes)
{
    if (!head_add(connection, 200, bytes, request->keeps_alive)) {
        return false;
    }
    return request->method == HTTP_HEAD || output_add(connection, text, bytes);
}

static bool answer_stats(struct connection *connection, const struct http_request *request)
{
    char text[512];
    size_t bytes = worker_counts_text(&connection->worker->counts, text, sizeof(text));

    return answer_text(connection, request, text, bytes);
}

static bool answer_post(struct connection *connection, const struct http_request *request)
{
    static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (request->expects_continue && request->body_bytes > 0 &&
        (!output_add(connection, proceed, sizeof(proceed) - 1) || !output_flush(connection))) {
        return false;
    }
    return head_add(connection, 200, request->body_bytes, request->keeps_alive) &&
           body_echo(connection, request->body_bytes);
}

/* Answers one request, whose head has been used. False: the connection ends. */
static bool answer(struct connection *connection, struct http_request *request)
{
    static const char stats[] = "/stats";
    bool is_good = false;

    if (connection->worker->is_draining) {
        request->keeps_alive = false;
    }
    if (request->method == HTTP_POST) {
        is_good = answer_post(connection, request);
    } else if (request->method == HTTP_OTHER) {
        return refuse(connection, 405);
    } else if (request->body_bytes != 0) {
        return refuse(connection, 413);
    } else if (request->target_bytes == 1 && request->target[0] == '/') {
        is_good = answer_text(connection, request, greeting, sizeof(greeting) - 1);
    } else if (request->target_bytes == sizeof(stats) - 1 &&
               memcmp(request->target, stats, sizeof(stats) - 1) == 0) {
        is_good = answer_stats(connection, request);
    } else {
        return refuse(connection, 404);
    }
    connection->worker->counts.requests += is_good;
    return is_good && request->keeps_alive;
}

/* Answers the requests whose heads are here. False: the connection ends. */
static bool serve_input(struct connection *connection)
{
    while (connection->begin < connection->end) {
        struct http_request request;
        size_t used = 0;
        enum http_parsed parsed = http_parse(connection->input->bytes + connection->begin,
                                             connection->end - connection->begin, &request, &used);

        if (parsed == HTTP_MORE) {
            bool is_full = connection->begin == 0 && connection->end == BUFFER_BYTES;

            return !is_full || refuse(connection, 431);
        }
        if (parsed != HTTP_WHOLE) {
            return refuse(connection, (unsigned)parsed);
        }
        connection->begin += (uint32_t)used;
        if (!answer(connection, &request)) {
            return false;
        }
    }
    return true;
}

static void serve_http(struct connection *connection)
{
    do {
        bool goes_on = serve_input(connection);

        if (!output_flush(connection) || !goes_on) {
            return;
        }
    } while (input_wait(connection));
}

/* ---- plain echo ---- */

static void serve_echo(struct connection *connection)
{
    do {
        uint32_t bytes = connection->end - connection->begin;

        if (!output_write(connection, connection->input->bytes + connection->begin, bytes)) {
            return;
        }
        connection->begin = connection->end;
        connection->worker->counts.requests++;
    } while (input_wait(connection));
}

/* ---- life ---- */

/* Ends the sending side and reads what still comes: closing with unread bytes would reset the
   connection, and the last answer might never be read. */
static void linger(struct connection *connection)
{
    uint32_t discarded = 0;
    uv_os_fd_t fd;

    if (connection->is_closing || uv_fileno((uv_handle_t *)&connection->tcp, &fd) != 0 ||
        shutdown(fd, SHUT_WR) != 0) {
        return;
    }
    connection->is_over = true;
    timer_restart(connection);
    do {
        discarded += connection->end - connection->begin;
        connection->begin = connection->end;
    } while (discarded < LINGER_BYTES && input_wait(connection));
}

static void connection_serve(void *arg)
{
    struct connection *connection = arg;

    emp_task_release(connection->task);
    connection->task = NULL;
    if (input_wait(connection)) {
        char first = connection->input->bytes[0];

        if (first >= 'A' && first <= 'Z') {
            serve_http(connection);
        } else {
            serve_echo(connection);
        }
        linger(connection);
    }
    timer_end(connection);
    if (connection->output != NULL) {
        buffer_object_free(connection->output);
    }
    connection_close(connection);
    if (connection->input != NULL) {
        buffer_object_free(connection->input);
    }
    connection_release(connection);
}

static void connection_link(struct connection *connection, struct worker *worker)
{
    connection->next = worker->connections;
    if (connection->next != NULL) {
        connection->next->previous = connection;
    }
    worker->connections = connection;
    worker->live++;
    worker->counts.accepted++;
}

bool connection_start(struct worker *worker, int fd)
{
    struct connection *connection = connection_object_alloc();

    if (connection == NULL) {
        close(fd);
        return false;
    }
    memset(connection, 0, sizeof(*connection));
    connection->worker = worker;
    connection->holders = 2;
    connection->timer.fire = on_quiet;
    if (uv_tcp_init(&worker->loop, &connection->tcp) != 0) {
        connection_object_free(connection);
        close(fd);
        return false;
    }
    connection_link(connection, worker);
    emp_uv_stream_init(&connection->stream, (uv_stream_t *)&connection->tcp, worker->pool,
                       &stream_calls);
    if (uv_tcp_open(&connection->tcp, fd) != 0) {
        close(fd);
        connection->holders = 1;
        connection_close(connection);
        return false;
    }
    (void)uv_tcp_nodelay(&connection->tcp, 1);
    timer_restart(connection);
    connection->task = fiber_start(worker, connection_serve, connection);
    if (connection->task == NULL) {
        timer_end(connection);
        connection->holders = 1;
        connection_close(connection);
    }
    return true;
}

size_t connection_leaks(void)
{
    return objects_end();
}

bool connection_memory_begin(void)
{
    return objects_begin();
}

const char *connection_memory_name(void)
{
    return OBJECTS_FROM;
}
