// What can be done to all that is selected, and what came of it for each.
import { html } from '../lib/html.js';
import { post } from '../lib/api.js';
import { learn, processes } from '../lib/store.js';
import { may } from '../lib/session.js';
import { count, visible } from '../lib/format.js';
import { t } from '../lib/words.js';
import { Button, Pill } from '../ui/basics.js';
import { attempt, confirm, open, toast } from '../ui/overlay.js';
import { askSignal } from './process_actions.js';

const AT_ONCE = 1000;
const nameOf = (id) => visible(processes.get(id)?.name ?? id);

/** All well: a note is enough. Otherwise each has its line, the failures first. */
function report(action, results) {
  const bad = results.filter((one) => one.problem);
  if (bad.length === 0) { toast(t.bulk.done(action, results.length)); return; }
  const failuresFirst = [...bad, ...results.filter((one) => !one.problem)];
  open(t.bulk.title(action), () => html`
    <p>${t.bulk.some(results.length - bad.length, bad.length)}</p>
    <div class="results"><table class="list" aria-label=${t.bulk.title(action)}><tbody>${failuresFirst.map(({ id, problem }) => html`
      <tr key=${id}>
        <td class="c-name">${nameOf(id)}</td>
        <td class="wrap"><${Pill} tone=${problem ? 'bad' : 'good'}>${problem?.detail ?? problem?.title ?? t.bulk.ok}<//></td>
      </tr>`)}</tbody></table></div>`, { wide: true });
}

/** Asks for all of them, as many at once as one call takes: a result for each. */
async function actOn(ids, body) {
  const results = [];
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const { items } = await post('/v1/processes/actions', { ...body, ids: ids.slice(at, at + AT_ONCE) });
    results.push(...items);
  }
  for (const { process } of results) if (process) learn(process);
  return results;
}

export function BulkBar({ ids, done }) {
  const run = async (action, body) => {
    const results = await attempt(() => actOn(ids, { action, ...body }));
    if (!results) return;
    done();
    report(action, results);
  };
  const ask = async (action) => {
    const sure = await confirm({ title: t.bulk.ask(action, ids.length), text: names(ids), action: t.bulk.actions[action] });
    if (sure) await run(action);
  };
  const signal = async () => {
    const chosen = await askSignal(t.bulk.ask('signal', ids.length));
    if (chosen) await run('signal', chosen);
  };
  const locked = !may('operate');
  return html`<div class="row bulk" role="group" aria-label=${t.bulk.selected(ids.length)}>
    <span role="status">${t.bulk.selected(ids.length)}</span>
    <${Button} disabled=${locked} onClick=${() => run('stop')}>${t.bulk.actions.stop}<//>
    <${Button} disabled=${locked} kind="danger" onClick=${() => ask('kill')}>${t.bulk.actions.kill}<//>
    <${Button} disabled=${locked} onClick=${signal}>${t.bulk.actions.signal}<//>
    <${Button} disabled=${locked} onClick=${() => run('pause')}>${t.bulk.actions.pause}<//>
    <${Button} disabled=${locked} onClick=${() => run('resume')}>${t.bulk.actions.resume}<//>
    <${Button} disabled=${locked} kind="danger" onClick=${() => ask('delete')}>${t.bulk.actions.delete}<//>
    <${Button} kind="quiet" onClick=${done}>${t.commands.unselect}<//>
  </div>`;
}

const SHOWN = 12;
function names(ids) {
  const first = ids.slice(0, SHOWN).map(nameOf).join(', ');
  return ids.length > SHOWN ? first + t.bulk.others(count(ids.length - SHOWN)) : first;
}
