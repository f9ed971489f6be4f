// The editor of a value, and what is shown of one of bytes. Both are saved only over the version one began with (If-Match), so nobody's
// change is lost unseen; numbers keep the digits they came with, also those that JavaScript's numbers cannot hold.
import { html, useState } from '../lib/html.js';
import { bytes, call, save as keep } from '../lib/api.js';
import { bytes as size } from '../lib/format.js';
import { useLive } from '../lib/live.js';
import { may } from '../lib/session.js';
import { t } from '../lib/words.js';
import { Act, sure } from '../ui/acts.js';
import { Button, CopyBox, Failure } from '../ui/basics.js';
import { attempt, toast } from '../ui/overlay.js';

const c = t.coordination;
const v = c.value;
const SHOWN = 384;                    // bytes; a multiple of three, as base64 is cut

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

const hex = (n, digits) => n.toString(16).padStart(digits, '0');

/** Sixteen bytes a line: where they stand, their numbers, and what of them is text. */
const dump = (text) => text.replace(/[^]{1,16}/g, (row, at) => `${hex(at, 4)}  ${[...row].map((c) =>
  hex(c.charCodeAt(0), 2)).join(' ').padEnd(48)} ${row.replace(/[^ -~]/g, '·')}\n`);

/** A file goes over the version that is shown, or not at all. */
function Bytes({ one, path, again }) {
  const upload = async ({ target }) => {
    const [file] = target.files;
    await sure({ title: v.replace(file.name), text: size(file.size), action: v.save }, () => call('PUT', `${path}/value`,
      { raw: file, headers: { 'If-Match': `"${one.version}"` } }), v.saved);
    target.value = '';
    again();
  };
  return html`<section class="stack"><h2>${v.title} <span class="soft">${v.version(one.version)}${one.size_bytes > SHOWN
    && `, ${v.first(SHOWN)}`}</span></h2>
    <${CopyBox} label=${v.title} text=${dump(atob(one.value_base64.slice(0, SHOWN * 4 / 3))) || c.emptyBody} />
    <div class="row"><${Button} onClick=${() => attempt(async () => keep(await bytes(path), one.name))}>${t.log.download}<//>
      <label class="row">${v.upload} <input type="file" disabled=${!may('operate')} onChange=${upload} /></label></div></section>`;
}

export function Value({ one, again }) {
  const path = `/v1/values/${encodeURIComponent(one.name)}`;
  return html`<${one.type === 'bytes' ? Bytes : Editor} one=${one} path=${path} again=${again} />`;
}
