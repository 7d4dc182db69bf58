/* SPDX-License-Identifier: MIT */
/*
 * The way home: what is freed on a shard that it is not of. Frees of a turn
 * are gathered, for each home, and sent in batches. There is one batch at a
 * time under way between two shards; what is freed meanwhile makes the next.
 */
#ifndef SMP_HOMING_H
#define SMP_HOMING_H

#include "core/shard.h"

struct mn_foreign_node;

int homing_open(struct mn_world *world);
void homing_close(struct mn_world *world);

/* homing_chunk - a share of a chunk of another shard was freed here */
void homing_chunk(struct shard *self, const struct mn_chunk *chunk, uint32_t share);

/* homing_object - so was an object */
void homing_object(struct shard *self, struct mn_foreign_node *node);

/* homing_memory - so was memory of its heap */
void homing_memory(struct shard *self, unsigned int home, void *obj);

/* homing_flush - stage what waits; while flushing */
void homing_flush(struct shard *self);

/* homing_receive - a batch has come, or the answer to one; called while draining */
void homing_receive(struct shard *self, const struct mn_msg *msg);

/*
 * homing_drain - wait until nothing of this shard is on its way
 * In a fiber, with NULL. 1 if anything was since the last call, else 0: when
 * no shard says 1 in a round of all, nothing is under way. -ETIMEDOUT.
 */
int homing_drain(void *arg);

#endif
