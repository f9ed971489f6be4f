/*
 * A batch's memory: an arena of blocks that are all given back at once.
 *
 * The loop fills a batch thousands of times a second with small pieces that live equally long, so
 * allocation is a pointer moved forward. A large piece gets a block of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "db/writer.h"

#define ARENA_BLOCK_BYTES (16u << 10)
#define ARENA_ALIGN 16u

struct arena_block {
    struct arena_block *next;
    size_t used, bytes;
    _Alignas(16) char data[];
};

#define STANDARD_BYTES (ARENA_BLOCK_BYTES - sizeof(struct arena_block))
#define SPARE_MAX 8u

struct batch *batch_new(void)
{
    return calloc(1, sizeof(struct batch));
}

/* A thread keeps some: malloc tidies up all its small pieces before it makes one of this size. */
static _Thread_local struct arena_block *spare;
static _Thread_local unsigned spare_count;

static struct arena_block *block_take(size_t bytes)
{
    struct arena_block *block = spare;
    if (bytes != STANDARD_BYTES || !block) {
        return malloc(sizeof *block + bytes);
    }
    spare = block->next;
    spare_count--;
    return block;
}

static void block_give(struct arena_block *block)
{
    if (block->bytes != STANDARD_BYTES || spare_count == SPARE_MAX) {
        free(block);
        return;
    }
    block->next = spare;
    spare = block;
    spare_count++;
}

void batch_thread_ends(void)
{
    while (spare) {
        struct arena_block *block = spare;
        spare = block->next;
        free(block);
    }
    spare_count = 0;
}

void batch_free(struct batch *batch)
{
    if (!batch) {
        return;
    }
    for (struct arena_block *block = batch->arena, *next; block; block = next) {
        next = block->next;
        block_give(block);
    }
    free(batch);
}

/* A block behind the first one when it is made for one large piece, so the first stays in use. */
static struct arena_block *arena_grow(struct batch *batch, size_t bytes)
{
    size_t size = bytes > ARENA_BLOCK_BYTES / 4 ? bytes : STANDARD_BYTES;
    struct arena_block *block = block_take(size);
    if (!block) {
        return NULL;
    }
    block->used = 0;
    block->bytes = size;
    if (size == bytes && batch->arena) {
        block->next = batch->arena->next;
        batch->arena->next = block;
    } else {
        block->next = batch->arena;
        batch->arena = block;
    }
    return block;
}

void *batch_alloc(struct batch *batch, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    bytes = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct arena_block *block = batch->arena;
    if (!block || block->bytes - block->used < bytes) {
        block = arena_grow(batch, bytes);
        if (!block) {
            return NULL;
        }
    }
    void *memory = block->data + block->used;
    block->used += bytes;
    return memset(memory, 0, bytes);
}

void *batch_copy(struct batch *batch, const void *data, size_t bytes)
{
    if (bytes == SIZE_MAX) {
        return NULL;
    }
    char *copy = batch_alloc(batch, bytes + 1);
    if (copy && bytes) {
        memcpy(copy, data, bytes);
    }
    return copy;
}

bool batch_keep(struct batch *batch, const char **text)
{
    return !*text || (*text = batch_copy(batch, *text, strlen(*text))) != NULL;
}

void *batch_add(struct batch *batch, const struct operation_type *type, size_t bytes)
{
    struct operation *operation = batch_alloc(batch, bytes);
    if (!operation) {
        return NULL;
    }
    operation->type = type;
    if (batch->last) {
        batch->last->next = operation;
    } else {
        batch->first = operation;
    }
    batch->last = operation;
    batch->operations++;
    return operation;
}
