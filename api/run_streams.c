/*
 * The bytes of `forkful run`: the program's output to ours, our input to the program.
 *
 * Nothing is gathered. A piece of output stays in the buffer of its call until our stream has taken
 * it, and meanwhile nothing more is read from the daemon; input is read when the last of it was
 * taken. Our descriptors may be shared with others, so none is made non-blocking: a pipe that
 * polls as writable takes PIPE_BUF bytes.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "api/run.h"

static const char *const names[] = {"stdout", "stderr"};

struct run_output *run_output_of(struct run *run, enum run_call_number number)
{
    return number == RUN_STDOUT || number == RUN_STDERR ? &run->outputs[number - RUN_STDOUT] : NULL;
}

void run_output_take(struct run *run, enum run_call_number number,
                     const struct client_piece *piece)
{
    struct run_output *output = run_output_of(run, number);
    output->received += piece->bytes;
    if (!output->broken) {
        output->data = piece->data;
        output->left = piece->bytes;
    }
}

/* As in a pipeline: who writes to what nobody reads has SIGPIPE. */
static void lose_reader(struct run *run, struct run_output *output, int error)
{
    output->broken = true;
    output->left = 0;
    if (error != EPIPE) {
        dprintf(STDERR_FILENO, "forkful run: %s: %s\n", names[output - run->outputs],
                strerror(error));
    }
    run_order(run, "signal", "{\"signal\":\"SIGPIPE\"}");
}

void run_output_write(struct run *run, enum run_call_number number)
{
    struct run_output *output = run_output_of(run, number);
    size_t bytes = output->left < PIPE_BUF ? output->left : PIPE_BUF;
    ssize_t n = write(output->fd, output->data, bytes);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        lose_reader(run, output, errno);
    } else if (n > 0) {
        output->data += n;
        output->left -= (size_t)n;
    }
    if (!output->left) {
        run_call_pump(run, number);
    }
}

void run_output_ended(struct run *run, enum run_call_number number)
{
    run_output_of(run, number)->ended = true;
}

/* Who was left behind may hold the stream open; what was written up to the program's end counts. An
   answer ends by itself where something was dropped. */
static bool is_done(const struct run *run, const struct run_output *output)
{
    bool all_here = run->held && output->received >= output->total;
    return !output->left && (output->ended || all_here);
}

/* An answer ends where the daemon has dropped what comes next. */
static void tell_loss(struct run *run, const struct run_output *output)
{
    if (output->received >= output->total) {
        return;
    }
    dprintf(STDERR_FILENO, "forkful run: the daemon has dropped bytes of %s before they could be "
            "read (see --output-max-bytes)\n", names[output - run->outputs]);
    run->status = RUN_REFUSED;
}

bool run_outputs_done(struct run *run)
{
    if (!is_done(run, &run->outputs[0]) || !is_done(run, &run->outputs[1])) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        tell_loss(run, &run->outputs[i]);
    }
    return true;
}

/* ---- input ---- */

void run_input_read(struct run *run)
{
    struct run_input *input = &run->input;
    ssize_t n = read(STDIN_FILENO, input->data, sizeof input->data);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    input->at = 0;
    input->end = n > 0 ? (size_t)n : 0;
    input->eof = n <= 0;
    run_call_due(run, RUN_FEED);
}
