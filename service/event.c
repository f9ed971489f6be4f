/* Events; see event.h. */
#include "service/event.h"

#include "service/service.h"

static struct event *event_of(struct object *object)
{
    return (struct event *)object;
}

static const struct event *const_event_of(const struct object *object)
{
    return (const struct event *)object;
}

static void changed(struct event *event)
{
    object_touch(&event->object);
    pending_mark(&event->pending, event->object.service);
}

void event_set(struct event *event)
{
    if (!event->set) {
        event->set = true;
        event->generation++;
        changed(event);
        claims_finish_all(&event->waiters, CLAIM_GRANTED);
        object_ready(&event->object);
    }
}

void event_clear(struct event *event)
{
    if (event->set) {
        event->set = false;
        changed(event);
    }
}

void event_write(struct text *text, bool set, uint64_t generation)
{
    text_json_key(text, "set");
    text_json_bool(text, set);
    text_json_key(text, "generation");
    text_unsigned(text, generation);
}

/* ---- the type ---- */

static struct problem *configure(struct service *service, struct object *object,
                                 const json_t *config)
{
    (void)service;
    (void)object;
    (void)config;
    return NULL;
}

static void write_config(struct text *text, const struct object *object)
{
    (void)text;
    (void)object;
}

static void save(struct text *text, const struct object *object)
{
    event_write(text, const_event_of(object)->set, const_event_of(object)->generation);
}

static void write_state(struct text *text, const struct object *object)
{
    save(text, object);
    text_json_key(text, "waiters");
    text_unsigned(text, const_event_of(object)->waiters.count);
}

/* Without a generation that is known: set now, or set once since the wait began. */
static struct problem *begin_wait(const struct object *object, struct object_point *point,
                                  const char *place)
{
    (void)place;
    if (!point->after_given) {
        point->after = const_event_of(object)->generation;
    }
    return NULL;
}

static bool ready(const struct object *object, const struct object_point *point)
{
    const struct event *event = const_event_of(object);
    return event->generation != point->after || (event->set && !point->after_given);
}

static bool restore(struct service *service, struct object *object, const json_t *saved)
{
    struct event *event = event_of(object);
    if (!saved) {                      /* it is being made */
        pending_mark(&event->pending, service);
    }
    event->set = json_is_true(json_object_get(saved, "set"));
    event->generation = (uint64_t)json_integer_value(json_object_get(saved, "generation"));
    return true;
}

static void closed(struct service *service, struct object *object)
{
    (void)service;
    claims_finish_all(&event_of(object)->waiters, CLAIM_DELETED);
}

static void release(struct object *object)
{
    pending_forget(&event_of(object)->pending);
}

const struct object_type event_type = {
    .kind = OBJECT_EVENT, .noun = "event", .plural = "events", .bytes = sizeof(struct event),
    .configure = configure, .write_config = write_config, .write_state = write_state,
    .ready = ready, .point_member = "after", .begin_wait = begin_wait,
    .save = save, .restore = restore,
    .closed = closed, .release = release,
};
