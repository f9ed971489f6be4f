/*
 * The handlers of all routes, by the file they stand in. Each is called once per request, on the
 * loop thread, after the route table's checks; it answers, parks the request or opens a stream.
 * routes.c names each once.
 */
#ifndef FORKFUL_API_HANDLERS_H
#define FORKFUL_API_HANDLERS_H

#include "api/http.h"

/* ---- processes.c ---- */
void handle_create_process(struct request *request);
void handle_list_processes(struct request *request);
void handle_get_process(struct request *request);
void handle_get_own_process(struct request *request);
void handle_start_process(struct request *request);

/* ---- deletion.c ---- */
void handle_delete_process(struct request *request);

/* ---- join.c ---- */
void handle_join_process(struct request *request);

/* ---- control.c ---- */
void handle_signal_process(struct request *request);
void handle_terminate_process(struct request *request);
void handle_kill_process(struct request *request);
void handle_stop_process(struct request *request);
void handle_pause_process(struct request *request);
void handle_resume_process(struct request *request);

/* ---- actions.c ---- */
void handle_act_on_processes(struct request *request);

/* ---- stdin.c ---- */
void handle_write_stdin(struct request *request);

/* ---- tree.c ---- */
void handle_get_process_tree(struct request *request);
void handle_get_process_stats(struct request *request);
void handle_get_stats_of_processes(struct request *request);

/* ---- sessions.c ---- */
void handle_create_session(struct request *request);
void handle_list_sessions(struct request *request);
void handle_get_session(struct request *request);
void handle_delete_session(struct request *request);

/* ---- tokens.c ---- */
void handle_create_token(struct request *request);
void handle_list_tokens(struct request *request);
void handle_get_token(struct request *request);
void handle_delete_token(struct request *request);

/* ---- own_token.c ---- */
void handle_get_own_token(struct request *request);
void handle_delete_own_token(struct request *request);

/* ---- logins.c ---- */
void handle_create_login_code(struct request *request);
void handle_create_login(struct request *request);

/* ---- system.c ---- */
void handle_get_health(struct request *request);
void handle_get_readiness(struct request *request);
void handle_get_system(struct request *request);
void handle_get_capabilities(struct request *request);

/* ---- metrics.c ---- */
void handle_get_metrics(struct request *request);

/* ---- shutdown.c ---- */
void handle_shutdown(struct request *request);

/* ---- upgrade.c ---- */
void handle_upgrade(struct request *request);

/* ---- files.c ---- */
void handle_get_file(struct request *request);

/* ---- logs.c ---- */
void handle_get_logs(struct request *request);
void handle_delete_logs(struct request *request);

/* ---- feeds.c ---- */
void handle_get_changes(struct request *request);
void handle_get_log(struct request *request);
void handle_get_audit(struct request *request);
void handle_get_log_level(struct request *request);
void handle_put_log_level(struct request *request);

/* ---- objects.c: every kind of coordination object ---- */
void handle_put_object(struct request *request);
void handle_get_object(struct request *request);
void handle_list_objects(struct request *request);
void handle_delete_object(struct request *request);

/* ---- permits.c ---- */
void handle_acquire(struct request *request);
void handle_post_semaphore(struct request *request);

/* ---- wait.c ---- */
void handle_wait(struct request *request);
void handle_list_waits(struct request *request);

/* ---- conditions.c ---- */
void handle_wait_for_condition(struct request *request);
void handle_notify(struct request *request);
void handle_notify_all(struct request *request);

/* ---- barriers.c ---- */
void handle_wait_at_barrier(struct request *request);
void handle_reset_barrier(struct request *request);
void handle_abort_barrier(struct request *request);

/* ---- pipes.c ---- */
void handle_get_pipe(struct request *request);
void handle_get_pipe_end(struct request *request);
void handle_send_to_pipe(struct request *request);
void handle_receive_from_pipe(struct request *request);
void handle_close_pipe_end(struct request *request);

/* ---- pools.c ---- */
void handle_close_pool(struct request *request);
void handle_terminate_pool(struct request *request);
void handle_join_pool(struct request *request);

/* ---- pool_tasks.c ---- */
void handle_submit_task(struct request *request);
void handle_get_task(struct request *request);
void handle_list_tasks(struct request *request);

/* ---- pool_batches.c ---- */
void handle_submit_batch(struct request *request);
void handle_list_batches(struct request *request);
void handle_get_batch(struct request *request);
void handle_get_results(struct request *request);

/* ---- holds.c ---- */
void handle_list_holds(struct request *request);
void handle_get_hold(struct request *request);
void handle_ack_hold(struct request *request);
void handle_release_hold(struct request *request);
void handle_bury_hold(struct request *request);
void handle_touch_hold(struct request *request);
void handle_break_hold(struct request *request);
void handle_act_on_holds(struct request *request);

/* ---- events.c ---- */
void handle_get_event(struct request *request);
void handle_wait_for_event(struct request *request);
void handle_set_event(struct request *request);
void handle_clear_event(struct request *request);

/* ---- values.c ---- */
void handle_make_value(struct request *request);
void handle_delete_value(struct request *request);
void handle_get_value(struct request *request);
void handle_wait_for_value(struct request *request);
void handle_put_value(struct request *request);
void handle_add_to_value(struct request *request);
void handle_append_to_value(struct request *request);
void handle_extend_value(struct request *request);
void handle_insert_into_value(struct request *request);
void handle_pop_from_value(struct request *request);
void handle_remove_from_value(struct request *request);
void handle_set_in_value(struct request *request);
void handle_update_value(struct request *request);
void handle_delete_in_value(struct request *request);
void handle_clear_value(struct request *request);
void handle_compare_and_set_value(struct request *request);

/* ---- value_bytes.c ---- */
void handle_write_to_value(struct request *request);

/* ---- queues.c ---- */
void handle_list_messages(struct request *request);
void handle_get_message(struct request *request);
void handle_purge_messages(struct request *request);
void handle_kick_queue(struct request *request);
void handle_close_queue(struct request *request);
void handle_join_queue(struct request *request);

/* ---- queue_put.c ---- */
void handle_put_message(struct request *request);
void handle_put_batch(struct request *request);

/* ---- queue_receive.c ---- */
void handle_receive(struct request *request);

#endif
