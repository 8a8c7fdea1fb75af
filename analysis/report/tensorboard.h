/*
 * A run's history as TensorBoard reads it: one event file of scalars, in the frames of TFRecord with their masked
 * CRC-32C, each frame an Event of tensorflow/core/util/event.proto. Written from the run's records alone.
 */
#ifndef MEWS_TENSORBOARD_H
#define MEWS_TENSORBOARD_H

#include "analysis/report/study/records.h"

#include <stdint.h>

/*
 * Writes `<folder>/events.out.tfevents.<seconds>.mews` whole (the folder is made): every number of metrics.jsonl under
 * `train/…` or, for what an epoch's look at held-out images found, `collapse/…`, by optimiser step; then every final
 * figure under `final/…` at the last step. An event's time is that of the record's last change.
 * *scalars, how many were written, may be NULL. The same run gives the same bytes.
 */
bool tensorboard_write(const record *r, const char *folder, uint64_t *scalars, error *err);

/* CRC-32C (Castagnoli), as RFC 3720 has it: of "123456789" 0xe3069283. */
uint32_t tensorboard_crc32c(const void *data, size_t size);

#endif
