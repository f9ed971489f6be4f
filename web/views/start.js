// Starting a process: a form that says exactly what will be run, with recent ones as templates and the same as a curl line.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { get, post } from '../lib/api.js';
import { useCommands } from '../lib/commands.js';
import { commandLine, curl, visible } from '../lib/format.js';
import { go } from '../lib/router.js';
import { may } from '../lib/session.js';
import { blank, bodyOf, formOf, recent, remember, specOf, splitWords } from '../lib/spec.js';
import { learn } from '../lib/store.js';
import { t } from '../lib/words.js';
import { Button, CopyBox, Field } from '../ui/basics.js';
import { attempt, toast } from '../ui/overlay.js';

const w = t.start;

/** Inputs of the form know their key: form[key] is what they show. */
function Text({ form, set, name, type = 'text', mono, ...rest }) {
  return html`<${Field} id=${`start-${name}`} label=${w.fields[name]} hint=${w.hints[name]}>
    <${rest.rows ? 'textarea' : 'input'} id=${`start-${name}`} type=${type} class=${mono ? 'mono' : ''} autocomplete="off" spellcheck="false"
        value=${form[name]} min="0" step="any"
      aria-describedby=${w.hints[name] && `start-${name}-hint`} onInput=${(event) => set({ [name]: event.target.value })} ...${rest} /><//>`;
}

const Check = ({ form, set, name }) => html`<label class="check"><input type="checkbox" checked=${form[name]}
    onChange=${() => set({ [name]: !form[name] })} />${w.fields[name]}</label>`;

const Choice = ({ form, set, name, names }) => html`<${Field} id=${`start-${name}`} label=${w.fields[name]}>
  <select id=${`start-${name}`} value=${form[name]} onChange=${(event) => set({ [name]: event.target.value })}>
    ${Object.entries(names).map(([key, title]) => html`<option key=${key} value=${key}>${title}</option>`)}</select><//>`;

const replaced = (list, at, value) => list.map((one, i) => i === at ? value : one);

/** The program and its arguments, one field each: what is typed is what arrives, blanks and quotes included. */
function Argv({ argv, change }) {
  const box = useRef(null);
  const split = () => {
    try { change(splitWords(argv[0])); } catch (error) { toast(w.openQuote(error.message), 'bad'); }
  };
  const insert = (at) => {
    change([...argv.slice(0, at), '', ...argv.slice(at)]);
    requestAnimationFrame(() => requestAnimationFrame(() => box.current?.querySelectorAll('input')[at]?.focus()));
  };
  const onKey = (event, i) => {
    if (event.key === 'Enter' && !event.ctrlKey && argv[i] !== '') { event.preventDefault(); insert(i + 1); }
    if (event.key === 'Backspace' && argv[i] === '' && argv.length > 1) {
      event.preventDefault();
      change(argv.filter((_, at) => at !== i));
      box.current.querySelectorAll('input')[Math.max(0, i - 1)].focus();
    }
  };
  return html`<div class="stack rows" ref=${box}>
    ${argv.map((word, i) => html`<div class="row nowrap" key=${i}>
      <input class="mono grow" aria-label=${i === 0 ? w.program : w.argument(i)} placeholder=${i === 0 ? w.programHint : ''}
          autocomplete="off" spellcheck="false" required=${i === 0}
        value=${word} onInput=${(event) => change(replaced(argv, i, event.target.value))} onKeyDown=${(event) => onKey(event, i)} />
      ${argv.length > 1 && html`<${Button} kind="quiet" aria-label=${w.removeArgument(i)}
          onClick=${() => change(argv.filter((_, at) => at !== i))}>×<//>`}</div>`)}
    <div class="row"><${Button} kind="quiet" onClick=${() => insert(argv.length)}>+ ${w.addArgument}<//>
      ${argv.length === 1 && /\s/.test(argv[0].trim()) && html`<${Button} onClick=${split}>${w.split}<//>`}</div>
  </div>`;
}

/** Names with values: environment, labels. */
function Pairs({ title, list, change, names }) {
  return html`<fieldset class="stack rows"><legend>${title}</legend>
    ${list.map(([key, value], i) => html`<div class="row nowrap" key=${i}>
      <input class="mono grow" aria-label=${names[0](i + 1)} placeholder=${names[2]} autocomplete="off" spellcheck="false"
          value=${key} onInput=${(event) => change(replaced(list, i, [event.target.value, value]))} />
      <span class="soft">=</span>
      <input class="mono grow" aria-label=${names[1](i + 1)} autocomplete="off" spellcheck="false" value=${value}
          onInput=${(event) => change(replaced(list, i, [key, event.target.value]))} />
      <${Button} kind="quiet" aria-label=${w.removePair(key)}
          onClick=${() => change(list.filter((_, at) => at !== i))}>×<//></div>`)}
    <div class="row"><${Button} kind="quiet" onClick=${() => change([...list, ['', '']])}>+ ${t.common.add}<//></div></fieldset>`;
}

function Program({ form, set }) {
  return html`<fieldset class="stack"><legend>${w.what}</legend>
    <div class="segments" role="group" aria-label=${w.what}>${['argv', 'shell'].map((mode) => html`
      <button type="button" key=${mode} aria-pressed=${form.mode === mode ? 'true' : 'false'}
          onClick=${() => set({ mode })}>${w.modes[mode]}</button>`)}</div>
    ${form.mode === 'argv' ? html`
      <${Argv} argv=${form.argv} change=${(argv) => set({ argv })} /><p class="hint">${w.argvHint}</p>`
      : html`<textarea class="mono" rows="3" required aria-label=${w.modes.shell} spellcheck="false"
          placeholder="make && ./run | tee out.txt" value=${form.shell}
          onInput=${(event) => set({ shell: event.target.value })}></textarea><p class="hint">${w.shellHint}</p>`}
  </fieldset>`;
}

function Input({ form, set }) {
  return html`<fieldset class="stack"><legend>${w.stdin}</legend>
    <div class="row">${['null', 'pipe', 'text'].map((kind) => html`<label class="check" key=${kind}>
      <input type="radio" name="stdin" checked=${form.stdin === kind}
          onChange=${() => set({ stdin: kind })} />${w.stdins[kind]}</label>`)}</div>
    ${form.stdin === 'text' && html`<textarea class="mono" rows="4" aria-label=${w.stdins.text} spellcheck="false"
        value=${form.stdinText} onInput=${(event) => set({ stdinText: event.target.value })}></textarea>`}
  </fieldset>`;
}

const NUMBER = { type: 'number' };
const MONO = { mono: true };
const LIMITS = { timeout: NUMBER, grace: NUMBER, stopSignal: { mono: true, placeholder: 'SIGTERM' }, nofile: NUMBER, memory: NUMBER,
  cpu: NUMBER, nice: { type: 'number', min: -20, max: 19 }, maxOutput: NUMBER };
const OTHERS = { user: MONO, group: MONO, lock: MONO, onExit: MONO };
const SANDBOX = { read: { ...MONO, rows: 3 }, write: { ...MONO, rows: 3 } };
const TICKS = ['daemon', 'mergeStderr', 'clearEnv', 'noApi', 'rights'];

const Fields = ({ form, set, fields }) => Object.entries(fields).map(([name, more]) => html`
  <${Text} key=${name} form=${form} set=${set} name=${name} ...${more} />`);

function Limits({ form, set }) {
  return html`<details><summary>${w.limits}</summary><div class="grid">
    <${Fields} form=${form} set=${set} fields=${LIMITS} />
    <${Choice} form=${form} set=${set} name="whenFull" names=${w.full} />
  </div></details>
  <details><summary>${w.more}</summary>
    <div class="grid"><${Fields} form=${form} set=${set} fields=${OTHERS} /></div>
    <div class="stack checks">${TICKS.map((name) => html`<${Check} key=${name} form=${form} set=${set} name=${name} />`)}</div>
    <${Pairs} title=${w.secrets} list=${form.secrets} change=${(secrets) => set({ secrets })}
      names=${[w.secretName, w.secretFile, 'NAME']} />
    <fieldset class="stack"><legend>${w.sandbox}</legend><p class="hint">${w.sandboxHint}</p>
      <div class="grid"><${Fields} form=${form} set=${set} fields=${SANDBOX} />
        <${Choice} form=${form} set=${set} name="seccomp" names=${w.seccomp} /></div>
      <${Check} form=${form} set=${set} name="lenient" /></fieldset>
  </details>`;
}

function Recent({ use }) {
  const list = recent();
  if (list.length === 0) return null;
  return html`<section class="stack"><h2>${w.recent}</h2><p class="hint">${w.recentHint}</p>
    <ul class="stack tight">${list.map((body, i) => html`<li key=${i}>
      <button type="button" class="template mono" onClick=${() => use(formOf(body))}>
        ${body.name && html`<b>${visible(body.name)} </b>`}${visible(body.shell ?? commandLine(body.argv))}</button></li>`)}</ul>
  </section>`;
}

// The same form sent twice because the first answer got lost must not start two processes.
let sent = { text: '', key: '' };
function keyFor(body) {
  const text = JSON.stringify(body);
  if (sent.text !== text) sent = { text, key: crypto.randomUUID() };
  return sent.key;
}

export function Start({ query }) {
  const [form, setForm] = useState(blank);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const element = useRef(null);
  const set = (changes) => setForm((held) => ({ ...held, ...changes }));
  useEffect(() => {
    if (query.from) attempt(async () => {
      const p = await get(`/v1/processes/${query.from}`);
      setForm(formOf(specOf(p)));
      if (p.sandbox) toast(w.sandboxLost, 'bad');
    });
  }, [query.from]);
  const start = async () => {
    if (!element.current.reportValidity()) return;
    setBusy(true);
    const body = bodyOf(form);
    try {
      const made = await post('/v1/processes', body, { key: keyFor(body) });
      sent = { text: '', key: '' };
      remember(body);
      learn(made);
      go(['processes', made.id]);
    } catch (refused) {
      if (refused.status) sent = { text: '', key: '' };
      setError(refused);
    }
    setBusy(false);
  };
  useCommands([
    { id: 'start.now', title: w.start, keys: 'Ctrl+enter', run: start },
    { id: 'start.back', title: t.commands.back, keys: 'Escape', run: () => go(['processes']) },
  ]);
  const body = bodyOf(form);
  return html`<div class="page start">
    <div class="head"><h1 tabindex="-1">${t.app.start}</h1></div>
    ${!may('spawn') && html`<p class="bar warn" role="alert">${t.errors.scope('spawn')}</p>`}
    <div class="columns">
      <form ref=${element} class="stack wide-gap" onSubmit=${(event) => { event.preventDefault(); start(); }}>
        <${Program} form=${form} set=${set} />
        <div class="grid">
          <${Text} form=${form} set=${set} name="name" maxlength="255" />
          <${Text} form=${form} set=${set} name="cwd" mono placeholder="/srv/app" />
        </div>
        <${Pairs} title=${w.env} list=${form.env} change=${(env) => set({ env })} names=${[w.envName, w.envValue, 'NAME']} />
        <${Pairs} title=${w.labels} list=${form.labels} change=${(labels) => set({ labels })}
            names=${[w.labelName, w.labelValue, 'team']} />
        <${Input} form=${form} set=${set} />
        <${Limits} form=${form} set=${set} />
        ${error && html`<div class="error" role="alert">
          ${error.errors.length === 0 ? error.message : html`<ul>${error.errors.map((one) => html`
            <li key=${one.pointer}><code>${one.pointer}</code> ${one.detail}</li>`)}</ul>`}</div>`}
        <div class="row"><${Button} type="submit" kind="main" disabled=${busy || !may('spawn')}>${w.start}<//></div>
      </form>
      <aside class="stack wide-gap" aria-label=${w.aside}>
        <section class="stack"><h2>${w.curl}</h2>
          <${CopyBox} text=${curl('POST', '/v1/processes', body)} label=${w.curl} /></section>
        <${Recent} use=${setForm} />
      </aside>
    </div>
  </div>`;
}
