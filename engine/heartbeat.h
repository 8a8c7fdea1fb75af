/*
 * Between the machines of one run: MPI that waits for a machine behind a cut link waits for minutes (Open MPI) or for
 * ever (MPICH). So each process on another machine than rank 0's has a connection to rank 0, on which both send a byte
 * a second, from a thread of their own. Who hears nothing for long tells its program, which can only end.
 */
#ifndef MEWS_HEARTBEAT_H
#define MEWS_HEARTBEAT_H

#include "engine/error.h"

typedef struct peers peers;
typedef struct heartbeat heartbeat;

enum { HEARTBEAT_SECONDS = 30, HEARTBEAT_HOST = 65 };

/* Called on the heartbeat's thread, once. */
typedef void heartbeat_lost(int rank, const char *host, int seconds);

/*
 * Called by all processes together. *out is NULL on one machine, and for one beside rank 0. Silence of `seconds` is a
 * loss; a process that was stopped itself in the meantime does not count the time. *deaf is, for rank 0, how many
 * processes could not reach it (a firewall between them): those are not watched.
 */
bool heartbeat_open(heartbeat **out, peers *p, int seconds, heartbeat_lost *lost, int *deaf, error *err);
/* Says goodbye: what is silent from now on is no loss. Harmless on NULL. */
void heartbeat_close(heartbeat *h);

#endif
