/* The kinds of objects that there are. Adding a row is all there is to adding a kind. */
#include "service/barrier.h"
#include "service/condition.h"
#include "service/event.h"
#include "service/object.h"
#include "service/permit.h"
#include "service/pipe.h"
#include "service/pool.h"
#include "service/queue.h"
#include "service/value.h"

const struct object_type *const object_types[OBJECT_KINDS] = {
    [OBJECT_QUEUE] = &queue_type,
    [OBJECT_LOCK] = &lock_type,
    [OBJECT_SEMAPHORE] = &semaphore_type,
    [OBJECT_EVENT] = &event_type,
    [OBJECT_VALUE] = &value_type,
    [OBJECT_CONDITION] = &condition_type,
    [OBJECT_BARRIER] = &barrier_type,
    [OBJECT_PIPE] = &pipe_type,
    [OBJECT_POOL] = &pool_type,
};
