/*
 * Which boot of the machine this is: what tells a spool that still counts from one left by
 * another boot.
 *
 * Launcher and server read it here, so that they agree. In test builds FORKFUL_BOOT_ID in the
 * environment stands in for the kernel's, which makes a reboot something a test can do.
 */
#ifndef FORKFUL_SERVICE_BOOT_H
#define FORKFUL_SERVICE_BOOT_H

#define BOOT_ID_BYTES 40

/* NUL-terminated, without the newline. 0 or a negative errno. */
int boot_id_read(char out[BOOT_ID_BYTES]);

#endif
