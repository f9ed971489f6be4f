// Tokens: made with scopes and a time, shown once, deleted.
import { html } from '../lib/html.js';
import { call, post } from '../lib/api.js';
import { visible } from '../lib/format.js';
import { all, useLive } from '../lib/live.js';
import { t } from '../lib/words.js';
import { Act, askFields, Rows, sure } from '../ui/acts.js';
import { CopyBox, Empty, Failure, Loading, Time } from '../ui/basics.js';
import { attempt, open } from '../ui/overlay.js';

const w = t.daemon;
const DAY = 86400;
const SCOPES = Object.keys(w.tokenScopes);

async function make(again) {
  const noScope = (_, held) => SCOPES.some((scope) => held[scope]) ? '' : w.scopeNeeded;
  const answer = await askFields({ title: w.tokenNew, action: t.common.add,
    fields: [{ key: 'label', label: w.tokenLabel, required: true, check: noScope },
    { key: 'days', label: w.tokenDays, number: true, min: 0, value: 30 },
      ...SCOPES.map((key) => ({ key, label: w.tokenScopes[key], value: key === 'read' }))] });
  if (!answer) return;
  const made = await attempt(() => post('/v1/tokens', { label: answer.label, scopes: SCOPES.filter((scope) => answer[scope]),
    expires_in_seconds: answer.days === null ? null : answer.days * DAY }, { key: crypto.randomUUID() }));
  again();
  if (made) open(w.tokenOnce, () => html`<p>${w.tokenOnceText}</p><${CopyBox} label=${w.tokenOnce} text=${made.token} />`);
}

const nameOf = (token) => token.label ?? w.noLabel;
const remove = (token, again) => sure({ title: w.tokenDeleteAsk(visible(nameOf(token))), text: w.tokenDeleteText,
  action: w.tokenDelete }, () => call('DELETE', `/v1/tokens/${token.id}`), w.tokenDeleted).then(again);

const columns = (again) => [
  { key: 'label', title: w.columns.label, cell: (one) => html`<span title=${one.id}>${visible(nameOf(one))}</span>` },
  { key: 'scopes', title: w.columns.scopes, cell: (one) => one.scopes.join(', ') },
  { key: 'expires', title: w.columns.expires, class: 'c-date wide-only', cell: (one) => one.expires_at ? html`<${Time}
    at=${one.expires_at} />` : w.never },
  { key: 'used', title: w.columns.used, class: 'c-date wide-only', cell: (one) => one.last_used_at ? html`<${Time}
    at=${one.last_used_at} />` : w.never },
  { key: 'delete', title: html`<span class="unseen">${w.tokenDelete}</span>`, class: 'c-act', cell: (one) => html`<${Act}
    scope="admin" kind="danger slim" aria-label=${w.tokenDeleteName(nameOf(one))} onClick=${() => remove(one,
      again)}>${w.tokenDelete}<//>` },
];

export function Tokens() {
  const [tokens, error, again] = useLive('tokens', (signal) => all('/v1/tokens', signal), { hears: 'token.', every: 10000 });
  if (error) return html`<${Failure} error=${error} />`;
  if (!tokens) return html`<${Loading} />`;
  return html`<div class="page"><div class="row"><${Act} scope="admin" kind="main"
    onClick=${() => make(again)}>${w.tokenNew}<//><span class="soft">${w.tokenNoneHint}</span></div>
    ${tokens.length === 0 ? html`<${Empty} title=${w.tokenNone} />` : html`<${Rows} label=${w.tabs.tokens}
      columns=${columns(again)} rows=${tokens} />`}</div>`;
}
