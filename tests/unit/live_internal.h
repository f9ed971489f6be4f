/*
 * What the two files of the live harness share: live_harness.c starts and ends keepers, live_protocol.c
 * talks with them.
 */
#ifndef FORKFUL_TESTS_LIVE_INTERNAL_H
#define FORKFUL_TESTS_LIVE_INTERNAL_H

#include "live_harness.h"

/* Ends the test program, and no keeper outlives it. */
#define FATAL(what) live_fatal(__FILE__, __LINE__, what)
_Noreturn void live_fatal(const char *file, int line, const char *what);

void live_id_text(const struct fact_id *id, char text[29]);
void live_forget_notes(void);          /* the facts that live_until has read and nobody asked for */

#endif
