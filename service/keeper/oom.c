/*
 * The keeper's oom_score_adj: low, so that the kernel's OOM killer takes anybody else first.
 *
 * A child inherits it at the fork and must not keep it. It cannot set its own while it shares the
 * keeper's memory: the kernel gives all sharers the same. So the keeper takes the old value back
 * before it forks, and lowers it again when for a second no child was started and none is between
 * fork and exec. In the meantime the server, which maps the same ring and more, has the higher
 * score.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/keeper/keeper.h"

#define LOWERED_ADJ (-900)
#define QUIET_US 1000000

static bool set_score(const struct keeper *keeper, int score)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%d", score);
    return pwrite(keeper->oom_score_fd, text, (size_t)length, 0) == length;
}

void oom_begin(struct keeper *keeper)
{
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    keeper->oom_score_fd = fd;
    if (fd < 0) {
        return;
    }
    (void)!read(fd, text, sizeof text - 1);
    keeper->oom_score_adj = keeper->resume.occasion == RESUME_UPGRADE
                                ? keeper->resume.oom_score_adj : atoi(text);
    keeper->oom_score_lowered = set_score(keeper, LOWERED_ADJ);
    if (!keeper->oom_score_lowered) {
        close_one(&keeper->oom_score_fd); /* no right to; so there is nothing to take back */
    }
}

void oom_before_fork(struct keeper *keeper)
{
    if (keeper->oom_score_fd < 0) {
        return;
    }
    if (keeper->oom_score_lowered) {
        keeper->oom_score_lowered = !set_score(keeper, keeper->oom_score_adj);
        deadline_at(keeper, keeper->mono_us + QUIET_US);
    }
    keeper->oom_deadline_us = keeper->mono_us + QUIET_US;
}

void oom_deadline(struct keeper *keeper)
{
    if (keeper->oom_deadline_us == 0) {
        return;
    }
    if (keeper->starting > 0) {
        keeper->oom_deadline_us = keeper->mono_us + QUIET_US;
    }
    if (keeper->oom_deadline_us <= keeper->mono_us) {
        keeper->oom_deadline_us = 0;
        keeper->oom_score_lowered = set_score(keeper, LOWERED_ADJ);
    }
    deadline_at(keeper, keeper->oom_deadline_us);
}
