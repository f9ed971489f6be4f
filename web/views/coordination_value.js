// The editor of a value. It is saved only over the version one began with (If-Match), so nobody's change is lost unseen; numbers keep
// the digits they came with, also those that JavaScript's numbers cannot hold.
import { html, useState } from '../lib/html.js';
import { bytes, call } from '../lib/api.js';
import { useLive } from '../lib/live.js';
import { may } from '../lib/session.js';
import { t } from '../lib/words.js';
import { Act } from '../ui/acts.js';
import { Button, Failure } from '../ui/basics.js';
import { toast } from '../ui/overlay.js';

const c = t.coordination;
const v = c.value;

/** As JSON.parse, but a number that would be changed stays the text that it is. */
export const exact = (text) => JSON.parse(text, (_, value, context) => typeof value === 'number' && context && JSON.rawJSON
  && JSON.stringify(value) !== context.source
  ? JSON.rawJSON(context.source) : value);

const written = ({ type, value }) => type === 'string' ? value : JSON.stringify(value, null, type === 'json' ? 2 : 0);

/** What is wrong with the text as a value of that type; '' when nothing is. The bounds are the daemon's business. */
export function fault(type, text) {
  if (type === 'string') return '';
  try {
    const value = JSON.parse(text);
    const fits = { json: () => true, bool: (x) => typeof x === 'boolean', int32: Number.isInteger, int64: Number.isInteger,
      double: Number.isFinite, string: (x) => typeof x === 'string' }[type.replace('[]', '')];
    const right = type.endsWith('[]') ? Array.isArray(value) && value.every(fits) : fits(value);
    return right ? '' : v.notType(type);
  } catch (error) {
    return error.message;
  }
}

async function read(path, signal) {
  const answer = await bytes(path, {}, 'application/json', signal);
  const { type, value, version } = exact(await answer.text());
  return { type, version: Number(version), text: written({ type, value }) };
}

function Field({ type, ...rest }) {
  if (type === 'bool') return html`<select ...${rest}><option value="true">true</option><option
    value="false">false</option></select>`;
  if (/^(int32|int64|double)$/.test(type)) return html`<input ...${rest} class="mono" inputmode="decimal" autocomplete="off"
    />`;
  return html`<textarea ...${rest} class="mono" rows="10" spellcheck="false"></textarea>`;
}

function Conflict({ theirs, take, keep }) {
  return html`<div class="bar warn stack" role="alert"><p>${v.conflict(theirs.version)}</p><pre
    class="clip">${theirs.text}</pre>
    <div class="row"><${Button} onClick=${take}>${v.take}<//><${Button} onClick=${keep}>${v.keep}<//></div></div>`;
}

function Editor({ path, again }) {
  const [theirs, error, ask] = useLive(path, (signal) => read(path, signal));
  const [mine, setMine] = useState(null);      // { text, version: the one it began with }
  const [refused, setRefused] = useState('');
  if (error) return html`<${Failure} error=${error} />`;
  if (!theirs) return null;
  const text = mine?.text ?? theirs.text;
  const wrong = mine ? fault(theirs.type, text) : '';
  const drop = () => { setMine(null); setRefused(''); };
  const save = async (event) => {
    event.preventDefault();
    try {
      await call('PUT', `${path}/value`, { raw: `{"value":${theirs.type === 'string' ? JSON.stringify(text) : text}}`,
        type: 'application/json', headers: { 'If-Match': `"${mine.version}"` } });
      drop();
      toast(v.saved);
    } catch (caught) {
      setRefused(caught.code === 'version_differs' ? '' : caught.message);
    }
    await ask();
    again();
  };
  const differs = mine && mine.version !== theirs.version;
  return html`<form class="stack" onSubmit=${save}>
    <label for="value"><h2>${v.title}</h2></label>
    <${Field} id="value" type=${theirs.type} value=${text} disabled=${!may('operate')} aria-describedby="value-fault" aria-invalid=${wrong ? 'true' : 'false'}
      onInput=${(event) => { setRefused(''); setMine({ text: event.target.value,
        version: mine?.version ?? theirs.version }); }} />
    <p class="error" id="value-fault" role="status">${wrong || refused}</p>
    ${differs && html`<${Conflict} theirs=${theirs} take=${drop} keep=${() => setMine({ text, version: theirs.version })} />`}
    <div class="row"><${Act} kind="main" type="submit" disabled=${!mine || wrong !== '' || differs}>${v.save}<//>
      ${mine && html`<${Button}
        onClick=${drop}>${v.drop}<//>`}<span class="soft">${v.version(mine?.version ?? theirs.version)}</span></div>
  </form>`;
}

export function Value({ one, again }) {
  const path = `/v1/values/${encodeURIComponent(one.name)}`;
  return one.type === 'bytes' ? html`<p class="soft">${v.bytes}</p>` : html`<${Editor} path=${path} again=${again} />`;
}
