/*
 * Leases: who works on something, told by a file beside it. The file names the process (host, boot, process id and when
 * it began, the batch system's job) and its heart beats in it every ten seconds. No flock: network disks do not keep
 * one. A process on this machine is looked up; one elsewhere is alive while its heart beats. A lease whose holder is
 * dead may be taken by anyone, and only one succeeds.
 */
#ifndef MEWS_LEASE_H
#define MEWS_LEASE_H

#include "engine/error.h"

#include <jansson.h>

typedef struct lease lease;

/* The name of a run's lease in its folder. */
#define LEASE_FILE "lease"

/* A sweep's lease lies beside its runs under a name that begins so; its note is {run id: record} of what it has to do.
 */
#define QUEUE_PREFIX "queue-"

/* Part of the error's text when another process holds a lease. */
#define LEASE_HELD "is being worked on by another process"

enum { LEASE_BEAT_SECONDS = 10, LEASE_STALE_SECONDS = 180 };

/*
 * Takes the lease `path`. NULL when a living process holds it (*held true and an ERROR_RUN that names it) or when it
 * cannot be written. `note` (or NULL) is kept in the file for readers; its reference is taken over.
 */
lease *lease_take(const char *path, json_t *note, bool *held, error *err);

/* The same without a note, but waits until a living holder has done with it. NULL only when it cannot be written. */
lease *lease_await(const char *path, error *err);

/* Whether it is still ours: it is not, when this process was stopped for so long that another one took it for dead. */
bool lease_is_ours(const lease *l);
void lease_release(lease *l); /* harmless on NULL */

/* Whether a living process holds the lease `path`. */
bool lease_is_held(const char *path);

/* The note of a living holder, the caller's to json_decref; NULL when there is none. */
json_t *lease_note(const char *path);

/* What the status that a run's record holds comes to: "running" without a living holder is "interrupted". */
const char *lease_status(const char *run_folder, const char *recorded);

#endif
