// The two ends of a pipe.
import { html } from '../lib/html.js';
import { bytes, count } from '../lib/format.js';
import { t } from '../lib/words.js';
import { Facts } from '../ui/basics.js';
import { Ended, Owner } from '../ui/object_parts.js';

const c = t.coordination;

export const Ends = ({ one }) => ['a', 'b'].map((key) => {
  const end = one.ends[key];
  return html`<section class="stack" key=${key}><h2>${c.end(key)}</h2><div class="panel figures"><${Facts} rows=${[
    [c.columns.owner, end.owner && html`<${Owner} id=${end.owner} />`], [c.columns.state, end.closed ? c.state.closed : end.eof ? c.state.eof : c.state.open],
    [c.columns.received, `${count(end.messages)}, ${bytes(end.bytes)}`], [c.columns.sent, count(end.sent)], [c.columns.receivers, count(end.receivers)], [c.columns.senders, count(end.senders)],
    [c.columns.previous, end.cause && html`<${Ended} end=${end.cause} />`, 'wide']]} /></div></section>`;
});
