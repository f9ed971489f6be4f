/*
 * echo: a pool's worker in mode stdio that does nothing: each line of stdin goes to stdout.
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;

    while ((bytes = getline(&line, &room, stdin)) > 0)
        if (write(STDOUT_FILENO, line, (size_t)bytes) != bytes)
            return 1;
    return 0;
}
