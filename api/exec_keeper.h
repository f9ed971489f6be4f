/*
 * Becoming the keeper: this process's image is replaced by the embedded keeper's, with a resume
 * blob.
 *
 * Used three times: by `forkful serve` (fresh start), by `forkful --resume FD` (a keeper of
 * another version has executed this binary), and by a server whose keeper was killed (adoption).
 */
#ifndef FORKFUL_API_EXEC_KEEPER_H
#define FORKFUL_API_EXEC_KEEPER_H

/* Lets the blob and every descriptor it names be inherited, writes this pid into the lock file,
   and executes the keeper from a memfd, or, where the kernel forbids that, from a file in the
   runtime or state directory that is gone again before it runs. Returns only on failure: a
   negative errno, FD_CLOEXEC set again. The process must have no other thread that matters. */
int exec_keeper_with_blob(int blob_fd);

#endif
