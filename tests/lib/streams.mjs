// Answers that go on: lines, NDJSON records and server-sent events out of a readable.

/** Yields lines as strings, without their newline; a last piece without one too. */
export async function* lines(readable) {
  let rest = Buffer.alloc(0);
  for await (const piece of readable) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let from = 0;
    for (let at = rest.indexOf(10, from); at >= 0; at = rest.indexOf(10, from)) {
      yield rest.subarray(from, at).toString('utf8');
      from = at + 1;
    }
    rest = rest.subarray(from);
  }
  if (rest.length > 0) yield rest.toString('utf8');
}

/** Yields the JSON values of an NDJSON answer. */
export async function* records(readable) {
  for await (const line of lines(readable)) {
    if (line !== '') yield JSON.parse(line);
  }
}

/** Yields { id, event, data } for each server-sent event; `data` is parsed. Comments and `retry:` are passed over. */
export async function* events(readable) {
  let event = {};
  let data = [];
  for await (const raw of lines(readable)) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line === '') {
      if (data.length > 0) yield { event: 'message', ...event, data: JSON.parse(data.join('\n')) };
      event = {};
      data = [];
    } else if (!line.startsWith(':')) {
      const colon = line.indexOf(':');
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'data') data.push(value);
      else if (field === 'id' || field === 'event') event[field] = value;
    }
  }
}

/** All of an async iterable, or its first `count`. */
export async function take(iterable, count = Infinity) {
  const all = [];
  if (count === 0) return all;
  for await (const one of iterable) {
    all.push(one);
    if (all.length >= count) break;
  }
  return all;
}
