/* The kinds of objects that there are. Adding a row is all there is to adding a kind. */
#include "service/object.h"
#include "service/permit.h"

const struct object_type *const object_types[OBJECT_KINDS] = {
    [OBJECT_LOCK] = &lock_type,
    [OBJECT_SEMAPHORE] = &semaphore_type,
};
