// Owners for tests: processes that live until they are ended, and sessions, each with a client that shows its token.
import { until } from './daemon.mjs';

/** A process that tells its token and lives; its record with { token, client }. */
export async function liver(d, more = {}) {
  const record = await d.sh('echo $FORKFUL_TOKEN; exec sleep 1000', more);
  const token = await until('it has told', async () => (await d.logsText(record.id)).trim());
  return { ...record, token, client: d.as(token) };
}

/** A session with { client }. */
export async function session(d, ttl_seconds = 60) {
  const { body } = await d.post('/v1/sessions', { ttl_seconds }, { expect: 201 });
  return { ...body, client: d.as(body.token) };
}
