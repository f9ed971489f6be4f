/* The table of processes, its filters, its JSON, its durable form; waiters; custody. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/custody.h"
#include "service/process.h"

static const struct spec_defaults defaults = {10000000, 1000, FULL_DROP_OLDEST};

static struct process *add(struct process_table *table, const char *body_text)
{
    struct spec *spec;
    json_t *body = json_loads(body_text, 0, NULL);
    struct fact_id id = id_make();
    struct process *process = process_table_add(table, &id, table->last_num + 1);
    assert_non_null(process);
    table->last_num++;
    assert_null(spec_from_json(body, &defaults, &spec));
    assert_true(process_fix(process, spec, spec->start ? NULL : body));
    spec_free(spec);
    json_decref(body);
    return process;
}

static json_t *rendered(const struct process *process)
{
    struct text text = {0};
    process_json(&text, process);
    assert_false(text.failed);
    json_t *json = json_loadb(text.data, text.bytes, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    text_free(&text);
    return json;
}

static void records_are_found_by_id_and_stay_in_order(void **state)
{
    (void)state;
    struct process_table table = {0};
    struct process *all[2000];
    for (int i = 0; i < 2000; i++) {
        all[i] = add(&table, "{\"argv\":[\"true\"]}");
        process_set_state(&table, all[i], STATE_RUNNING);
    }
    for (int i = 0; i < 2000; i++) {
        assert_ptr_equal(process_table_find(&table, &all[i]->id), all[i]);
        assert_ptr_equal(process_table_find_text(&table, all[i]->id_text, 28), all[i]);
        assert_ptr_equal(process_table_find_num(&table, all[i]->num), all[i]);
        assert_ptr_equal(all[i]->next, i < 1999 ? all[i + 1] : NULL);
    }
    assert_int_equal(table.live, 2000);
    process_table_remove(&table, all[7]);
    assert_null(process_table_find(&table, &all[7]->id));
    assert_null(process_table_find_num(&table, all[7]->num));
    process_free(all[7]);
    process_table_free(&table);
}

static void a_starting_process_is_not_shown(void **state)
{
    (void)state;
    struct process_table table = {0};
    struct process *process = add(&table, "{\"argv\":[\"true\"]}");
    struct process_filter everything = {0};
    assert_null(process_table_find_text(&table, process->id_text, 28));
    assert_false(process_matches(process, &everything));
    process_table_free(&table);
}

static void states_keep_the_counts_and_the_live_list(void **state)
{
    (void)state;
    struct process_table table = {0};
    struct process *a = add(&table, "{\"argv\":[\"a\"],\"daemon\":true}");
    struct process *b = add(&table, "{\"argv\":[\"b\"]}");
    process_set_state(&table, a, STATE_RUNNING);
    process_set_state(&table, b, STATE_RUNNING);
    process_set_state(&table, a, STATE_STOPPING);
    assert_int_equal(table.live, 2);
    assert_non_null(table.first_daemon);
    process_set_state(&table, a, STATE_EXITED);
    assert_int_equal(table.live, 1);
    assert_null(table.first_daemon);
    assert_int_equal(table.ended, 1);
    assert_ptr_equal(table.first_live, b);
    process_table_remove(&table, b);
    process_free(b);
    assert_null(table.first_live);
    process_table_free(&table);
}

static void labels_are_matched_all_of_them(void **state)
{
    (void)state;
    struct process_table table = {0};
    struct process *p = add(&table, "{\"argv\":[\"a\"],\"labels\":{\"team\":\"a\",\"tier\":\"x=y\"}}");
    process_set_state(&table, p, STATE_RUNNING);
    struct process_filter filter = {.labels = {"team=a", "tier=x=y"}, .label_count = 2};
    assert_true(process_matches(p, &filter));
    filter.labels[0] = "team";
    assert_true(process_matches(p, &filter));
    filter.labels[0] = "tea=a";
    assert_false(process_matches(p, &filter));
    process_table_free(&table);
}

static void an_exit_is_told_in_pythons_and_the_shells_way(void **state)
{
    (void)state;
    struct process_table table = {0};
    struct process *p = add(&table, "{\"argv\":[\"a\"]}");
    process_set_state(&table, p, STATE_RUNNING);
    json_t *json = rendered(p);
    assert_true(json_is_null(json_object_get(json, "exit")));
    assert_true(json_is_null(json_object_get(json, "exitcode")));
    json_decref(json);
    p->exit_kind = EXIT_SIGNALED;
    p->exit_status = 9;
    p->exit_reason = REASON_SIGNAL;
    process_set_state(&table, p, STATE_EXITED);
    json = rendered(p);
    const json_t *exit = json_object_get(json, "exit");
    assert_int_equal(json_integer_value(json_object_get(json, "exitcode")), -9);
    assert_int_equal(json_integer_value(json_object_get(exit, "shell_code")), 137);
    assert_string_equal(json_string_value(json_object_get(exit, "signal")), "SIGKILL");
    assert_true(json_is_null(json_object_get(exit, "code")));
    json_decref(json);
    process_table_free(&table);
}

static void a_record_reads_back_from_its_stored_form(void **state)
{
    (void)state;
    struct process_table table = {0}, other = {0};
    struct process *p = add(&table, "{\"argv\":[\"a\",\"\\u00e9\\n\"],\"name\":\"n\",\"start\":false,"
                                    "\"env\":{\"SECRET\":\"s3\"},\"labels\":{\"k\":\"v\"},"
                                    "\"stdin\":\"pipe\",\"timeout_seconds\":2}");
    process_set_state(&table, p, STATE_CREATED);
    struct process_row row;
    process_row(p, &row);
    struct process *q = process_table_add(&other, &p->id, p->num);
    assert_true(process_fix_from_text(q, row.spec));
    process_from_row(q, &row);
    process_set_state(&other, q, STATE_CREATED);
    json_t *one = rendered(p), *two = rendered(q);
    assert_true(json_equal(one, two));
    assert_null(strstr(p->fixed_json, "s3"));
    json_t *body = process_stored_body(q);
    assert_string_equal(json_string_value(json_object_get(json_object_get(body, "env"), "SECRET")), "s3");
    assert_int_equal(q->timeout_us, 2000000);
    assert_int_equal(q->stdin_mode, STDIN_PIPE);
    json_decref(body);
    json_decref(one);
    json_decref(two);
    process_table_free(&table);
    process_table_free(&other);
}

/* ---- waiters ---- */

struct counted {
    struct waiter waiter;
    int woken, timed_out;
};

static void count(struct waiter *waiter, bool woken)
{
    struct counted *counted = (struct counted *)waiter;
    counted->woken += woken;
    counted->timed_out += !woken;
}

static void waiters_are_served_once_and_in_order(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct wait_list list = {0};
    struct counted a = {0}, b = {0}, c = {0};
    int64_t later = time_monotonic_us() + 60000000;
    assert_true(waiter_park(loop, &list, &a.waiter, later, count));
    assert_true(waiter_park(loop, &list, &b.waiter, later, count));
    assert_true(waiter_park(loop, &list, &c.waiter, later, count));
    waiter_cancel(&b.waiter);
    assert_true(wait_list_wake_first(&list));
    assert_int_equal(a.woken, 1);
    wait_list_wake_all(&list);
    assert_int_equal(c.woken, 1);
    assert_int_equal(b.woken + b.timed_out, 0);
    assert_false(wait_list_wake_first(&list));
    loop_free(loop);
}

/* ---- custody ---- */

static void a_process_for_later_keeps_the_directory_chosen_at_its_creation(void **state)
{
    (void)state;
    struct process process = {0};
    struct spec *spec;
    json_t *asked = json_loads("{\"argv\":[\"true\"],\"start\":false}", 0, NULL);
    assert_null(spec_from_json(asked, &defaults, &spec));
    spec->cwd = strdup("/srv"); /* the daemon's, which may be another one after a restart */
    assert_true(process_fix(&process, spec, asked));
    json_t *body = process_stored_body(&process);
    assert_string_equal(json_string_value(json_object_get(body, "cwd")), "/srv");
    json_decref(body);
    json_decref(asked);
    spec_free(spec);
    free(process.name);
    free(process.program);
    free(process.fixed_json);
    free(process.spec_text);
}

static void an_account_counts_what_has_not_ended(void **state)
{
    (void)state;
    struct process_table table = {0};
    struct fact_id id = id_make(), nobody = {{0}};
    struct process *kept[3];
    for (int i = 0; i < 3; i++) {
        struct fact_id own = id_make();
        kept[i] = process_table_add(&table, &own, i + 1);
        kept[i]->account = i < 2 ? id : nobody;
        assert_true(process_table_charge(&table, kept[i]));
    }
    assert_int_equal(account_processes(&table.accounts, &id), 2);
    process_set_state(&table, kept[0], STATE_RUNNING);
    process_set_state(&table, kept[0], STATE_EXITED);
    process_set_state(&table, kept[0], STATE_LOST);
    assert_int_equal(account_processes(&table.accounts, &id), 1);
    process_table_remove(&table, kept[1]);
    process_free(kept[1]);
    assert_int_equal(account_processes(&table.accounts, &id), 0);
    assert_int_equal(account_processes(&table.accounts, &nobody), 1);
    process_table_free(&table);
}

static void privileges_read_back_from_their_stored_form(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"argv\":[\"true\"]}", "{\"argv\":[\"true\"],\"no_new_privs\":true}",
        "{\"argv\":[\"true\"],\"no_new_privs\":true,\"nice\":3,\"rlimits\":{\"nofile\":9}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        json_t *body = json_loads(bodies[i], 0, NULL), *stored;
        struct privileges *made, *again;
        struct spec *spec;
        struct text text = {0}, same = {0};
        assert_null(spec_from_json(body, &defaults, &spec));
        assert_true(privileges_from_spec(spec, &made));
        text_put(&text, "{\"x\":0");
        privileges_json(&text, made);
        text_putc(&text, '}');
        stored = json_loadb(text.data, text.bytes, 0, NULL);
        assert_true(privileges_from_json(stored, &again));
        assert_int_equal(made && made->no_new_privs, i > 0);
        assert_int_equal(again && again->no_new_privs, i > 0);
        text_put(&same, "{\"x\":0");
        privileges_json(&same, again);
        text_putc(&same, '}');
        assert_string_equal(text.data, same.data);
        text_free(&text);
        text_free(&same);
        privileges_free(made);
        privileges_free(again);
        spec_free(spec);
        json_decref(stored);
        json_decref(body);
    }
}

static void custody_survives_growth_and_removal(void **state)
{
    (void)state;
    struct custody_table table = {0};
    struct fact_id ids[500];
    for (int i = 0; i < 500; i++) {
        ids[i] = id_make();
        struct custody *custody = custody_make(&table, &ids[i]);
        assert_non_null(custody);
        custody->pid = i + 1;
    }
    for (int i = 0; i < 500; i += 2) {
        custody_remove(&table, custody_find(&table, &ids[i]));
    }
    for (int i = 0; i < 500; i++) {
        struct custody *custody = custody_find(&table, &ids[i]);
        assert_int_equal(custody ? custody->pid : 0, i % 2 ? i + 1 : 0);
    }
    assert_int_equal(table.map.used, 250);
    custody_free(&table);
}

static void custody_closes_what_it_held(void **state)
{
    (void)state;
    struct custody_table table = {0};
    struct fact_id id = id_make();
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    custody_make(&table, &id)->stdout_fd = fd;
    custody_free(&table);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_found_by_id_and_stay_in_order),
        cmocka_unit_test(a_starting_process_is_not_shown),
        cmocka_unit_test(states_keep_the_counts_and_the_live_list),
        cmocka_unit_test(labels_are_matched_all_of_them),
        cmocka_unit_test(an_exit_is_told_in_pythons_and_the_shells_way),
        cmocka_unit_test(a_record_reads_back_from_its_stored_form),
        cmocka_unit_test(waiters_are_served_once_and_in_order),
        cmocka_unit_test(a_process_for_later_keeps_the_directory_chosen_at_its_creation),
        cmocka_unit_test(an_account_counts_what_has_not_ended),
        cmocka_unit_test(privileges_read_back_from_their_stored_form),
        cmocka_unit_test(custody_survives_growth_and_removal),
        cmocka_unit_test(custody_closes_what_it_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
