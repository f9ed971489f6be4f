/* `forkful login`: the address at which a browser is logged in to the dashboard, once. */
#ifndef FORKFUL_API_LOGIN_H
#define FORKFUL_API_LOGIN_H

/* Gets what follows the word `login`, returns the exit status. */
int login_command(int argc, char **argv);

#endif
