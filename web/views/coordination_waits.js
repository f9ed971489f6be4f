// Who waits for whom: deadlocks first, each as a chain that comes back to where it began; then everybody who waits, below the one
// that has what they wait for. It is text throughout; the picture above it, lines and colours only repeat it.
import { html } from '../lib/html.js';
import { get } from '../lib/api.js';
import { useLive } from '../lib/live.js';
import { t } from '../lib/words.js';
import { Age, Empty, Failure, Loading, Pill } from '../ui/basics.js';
import { Break, Owner, Resource } from '../ui/object_parts.js';
import { Graph } from './coordination_graph.js';

const c = t.coordination;
const others = (wait) => wait.held_by.filter((held) => held.owner !== wait.owner || held.owner === null);

function Cycle({ cycle, waits, again }) {
  const members = cycle.map(({ owner }) => owner);
  const rest = waits.filter(({ owner }) => !members.includes(owner));
  const step = ({ owner, resource }, i) => {
    const next = cycle[(i + 1) % cycle.length];
    const hold = waits.find((one) => one.owner === owner && one.resource === resource)?.held_by.find((one) =>
      one.owner === next.owner)?.hold;
    return html`<li key=${owner}><${Owner} id=${owner} name=${cycle[i].name} /> ${c.waitsFor} <${Resource} at=${resource}
      />${resource.startsWith('processes/') ? '' : html`, ${c.heldBy} <${Owner} id=${next.owner} name=${next.name} />`}
      ${hold && html` <${Break} id=${hold} resource=${resource} again=${again} />`}
      <${Behind} owner=${owner} waits=${rest} seen=${members} again=${again} /></li>`;
  };
  return html`<section class="panel deadlock stack"><h2><${Pill} tone="bad">${c.deadlockTitle(cycle.length)}<//></h2>
    <ol class="chain">${cycle.map(step)}</ol><p class="soft">${c.deadlockHint}</p></section>`;
}

/** Those who wait for what `owner` has, and below each those who wait for that one. */
function Behind({ owner, waits, seen, again }) {
  const here = waits.flatMap((wait) => others(wait).filter((held) => held.owner === owner).map((held) =>
    ({ ...wait, hold: held.hold })));
  return here.length > 0 && html`<ul class="chain">${here.map((wait) => html`<li key=${`${wait.owner} ${wait.resource}`}>
    <${Owner} id=${wait.owner} name=${wait.name} /> ${c.waitsFor} <${Resource} at=${wait.resource} /> <span class="soft">(<${Age} at=${wait.since_at} />)</span>
    ${wait.hold && html` <${Break} id=${wait.hold} resource=${wait.resource} again=${again} />`}
    ${seen.includes(wait.owner) ? html` <span class="soft">${c.above}</span>` : wait.owner && html`<${Behind}
      owner=${wait.owner} waits=${waits} seen=${[...seen, wait.owner]} again=${again} />`}</li>`)}</ul>`;
}

/** Who has something that is waited for, and does not wait for anybody. Who waits behind a deadlock is shown with it. */
function roots(waits) {
  const holders = new Map(waits.flatMap((wait) => others(wait).map(({ owner, name }) => [owner, name])));
  const blocked = new Set(waits.filter((wait) => others(wait).length > 0).map((wait) => wait.owner));
  return [...holders].filter(([owner]) => owner === null || !blocked.has(owner)).map(([owner, name]) => ({ owner, name }));
}

export function Waits() {
  const [seen, error, again] = useLive('waits', (signal) => get('/v1/waits', {}, signal), { every: 1000 });
  if (error) return html`<${Failure} error=${error} />`;
  if (!seen) return html`<${Loading} />`;
  const { waits, cycles } = seen;
  if (waits.length === 0) return html`<${Empty} title=${c.nobodyWaits} />`;
  const open = waits.filter((wait) => others(wait).length === 0);
  return html`<div class="page">
    <${Graph} seen=${seen} />
    ${cycles.map((cycle) => html`<${Cycle} key=${cycle[0].owner + cycle[0].resource} cycle=${cycle} waits=${waits}
      again=${again} />`)}
    ${roots(waits).map(({ owner, name }) => html`<section class="panel stack" key=${owner}><h2><${Owner} id=${owner}
      name=${name} /> <span class="soft">${c.isWaitedFor}</span></h2>
      <${Behind} owner=${owner} waits=${waits} seen=${[owner]} again=${again} /></section>`)}
    ${open.length > 0 && html`<section class="panel stack"><h2>${c.openWaits}</h2><ul
      class="chain">${open.map((wait) => html`<li key=${`${wait.owner} ${wait.resource}`}>
      <${Owner} id=${wait.owner} name=${wait.name} /> ${c.waitsFor} <${Resource} at=${wait.resource} /> <span class="soft">(<${Age} at=${wait.since_at} />)</span></li>`)}</ul></section>`}
  </div>`;
}
