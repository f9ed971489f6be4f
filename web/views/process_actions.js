// What can be done to one process: the buttons at its head, and the questions they ask.
import { html, useState } from '../lib/html.js';
import { call, post } from '../lib/api.js';
import { useCommands } from '../lib/commands.js';
import { duration } from '../lib/format.js';
import { go } from '../lib/router.js';
import { may } from '../lib/session.js';
import { useSignal, eachSecond } from '../lib/signal.js';
import { forget, learn } from '../lib/store.js';
import { t } from '../lib/words.js';
import { Button, Field } from '../ui/basics.js';
import { attempt, confirm, open } from '../ui/overlay.js';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT', 'SIGCONT', 'SIGSTOP', 'SIGWINCH', 'SIGKILL'];
const SCOPES = ['main', 'group', 'tree'];

function SignalForm({ close }) {
  const [signal, setSignal] = useState('SIGHUP');
  const [scope, setScope] = useState('main');
  return html`<form class="stack" onSubmit=${(event) => { event.preventDefault(); close({ signal, scope }); }}>
    <${Field} id="signal" label=${t.actions.signalName} hint=${t.actions.signalHint}>
      <input id="signal" class="mono" list="signals" required value=${signal} aria-describedby="signal-hint"
          onInput=${(event) => setSignal(event.target.value.trim())} />
      <datalist id="signals">${SIGNALS.map((one) => html`<option key=${one} value=${one} />`)}</datalist>
    <//>
    <fieldset class="row"><legend>${t.actions.scope}</legend>${SCOPES.map((one) => html`
      <label class="check" key=${one}><input type="radio" name="scope" checked=${scope === one}
          onChange=${() => setScope(one)} />${t.actions.scopes[one]}</label>`)}</fieldset>
    <div class="row end"><${Button} onClick=${() => close()}>${t.common.cancel}<//><${Button} kind="main"
        type="submit">${t.actions.send}<//></div>
  </form>`;
}

/** { signal, scope }, or undefined when it was dismissed. */
export const askSignal = (title) => open(title, (close) => html`<${SignalForm} close=${close} />`);

/** Until SIGKILL follows. */
function Countdown({ until }) {
  const now = useSignal(eachSecond);
  const left = Math.ceil((Date.parse(until) - now) / 1000);
  return html`<span class="pill warn countdown"
      role="timer">${left > 0 ? t.actions.killIn(duration(left)) : t.actions.killing}</span>`;
}

export function Actions({ p }) {
  const locked = !may('operate');
  const at = (verb) => `/v1/processes/${p.id}/${verb}`;
  const keep = (answer) => { if (answer) learn(answer.process ?? answer); };
  const act = (verb, body) => attempt(async () => keep(await post(at(verb), body)));
  const stop = () => act('stop', {});
  const kill = async () => {
    const sure = await confirm({ title: t.common.ask(t.actions.kill, p.name), text: t.actions.killText, action: t.actions.kill });
    if (sure) await act('stop', { grace_seconds: 0 });
  };
  const signal = async () => {
    const chosen = await askSignal(t.actions.signalTitle(p.name));
    if (chosen) attempt(() => post(at('signal'), chosen), t.actions.sent(chosen.signal));
  };
  const remove = async () => {
    if (!await confirm({ title: t.common.ask(t.actions.delete, p.name), text: t.actions.deleteText, action: t.actions.delete })) return;
    await attempt(async () => {
      await call('DELETE', `/v1/processes/${p.id}`);
      forget(p.id);
      go(['processes']);
    }, t.actions.deleted(p.name));
  };
  const again = () => go(['start'], { from: p.id });
  useCommands([
    ...(p.alive && !locked ? [
      { id: 'process.stop', title: t.actions.stop, keys: 's', run: stop },
      { id: 'process.kill', title: t.actions.kill, keys: 'K', run: kill },
      { id: 'process.signal', title: t.actions.signal, run: signal },
    ] : []),
    { id: 'process.again', title: t.actions.again, keys: 'r', run: again },
    { id: 'process.back', title: t.commands.back, keys: ['Escape', 'u'], run: () => go(['processes']) },
  ]);
  if (p.state === 'created') return html`<${Button} kind="main" disabled=${locked}
      onClick=${() => act('start')}>${t.actions.start}<//>`;
  return html`<div class="row actions">
    ${p.state === 'stopping' && p.stop_deadline_at && html`<${Countdown} until=${p.stop_deadline_at} />`}
    ${p.alive && html`
      <${Button} disabled=${locked || p.state === 'stopping'} onClick=${stop}>${t.actions.stop}<//>
      <${Button} disabled=${locked} kind="danger" onClick=${kill}>${t.actions.kill}<//>
      <${Button} disabled=${locked} onClick=${signal}>${t.actions.signal}<//>
      <${Button} disabled=${locked}
          onClick=${() => act(p.paused ? 'resume' : 'pause')}>${p.paused ? t.actions.resume : t.actions.pause}<//>`}
    <${Button} disabled=${!may('spawn')} onClick=${again}>${t.actions.again}<//>
    ${!p.alive && html`<${Button} disabled=${locked} kind="danger" onClick=${remove}>${t.actions.delete}<//>`}
  </div>`;
}
