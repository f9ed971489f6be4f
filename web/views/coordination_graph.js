// Who waits for whom as a picture: everybody and every object once, with arrows from who waits to what he waits for, and from
// there to who has it. Lines mean nothing to a screen reader; the text below the picture tells the same.
import { html } from '../lib/html.js';
import { layers, parts } from '../lib/layers.js';
import { t } from '../lib/words.js';
import { Owner, Resource } from '../ui/object_parts.js';

const c = t.coordination;
const MOST = 60;                      // nodes; more would be a tangle
const [WIDE, HIGH] = [124, 54];       // px: a node
const [ACROSS, DOWN] = [152, 64];     // px: from one to the next

/** [id → { label, shape, stuck }, [{ from, to, held, stuck }]]. Who has no name is somebody else each time. */
function graphOf({ waits, cycles }) {
  const [nodes, edges] = [new Map(), new Map()];
  const join = (from, to, held) => edges.set(`${from} ${to}`, { from, to, held });
  const owner = ({ owner: id, name }, unknown) => {
    nodes.set(id ?? unknown, { label: Owner({ id, name }), shape: 'round' });
    return id ?? unknown;
  };
  waits.forEach((wait, i) => {
    const [from, at] = [owner(wait, i), wait.resource];
    if (at.startsWith('processes/')) join(from, owner(wait.held_by[0]), false);
    else {
      nodes.set(at, { label: Resource({ at }) });
      join(from, at, false);
      for (const one of wait.held_by) join(at, owner(one, one.hold), true);
    }
  });
  for (const cycle of cycles) {
    const round = cycle.flatMap(({ owner: id, resource }) => nodes.has(resource) ? [id, resource] : [id]);
    round.forEach((from, i) => {
      nodes.get(from).stuck = true;
      edges.get(`${from} ${round[(i + 1) % round.length]}`).stuck = true;
    });
  }
  return [nodes, [...edges.values()]];
}

/** From the right of a node to the left of the next; one that leads back goes below both. Given are their middles. */
function line([x, y], [toX, toY], back) {
  const low = Math.max(y, toY) + HIGH / 2 + DOWN;
  return back ? `M${x} ${y}C${x} ${low} ${toX} ${low} ${toX} ${toY + HIGH / 2 + 3}`
    : `M${x + WIDE / 2} ${y}C${x + ACROSS / 2} ${y} ${toX - ACROSS / 2} ${toY} ${toX - WIDE / 2 - 3} ${toY}`;
}

function Part({ ids, nodes, edges }) {
  const { at, back, columns, rows } = layers(ids, edges);
  const spot = (id) => [at.get(id)[0] * ACROSS + ACROSS / 2, at.get(id)[1] * DOWN + DOWN / 2];
  const node = (id) => {
    const [{ label, shape, stuck }, [x, y]] = [nodes.get(id), spot(id)];
    return html`<foreignObject key=${id} x=${x - WIDE / 2} y=${y - HIGH / 2} width=${WIDE} height=${HIGH}>
      <div class=${`node ${shape} ${stuck ? 'stuck' : ''}`}>${label}${stuck && html`<b>${c.deadlocked}</b>`}</div></foreignObject>`;
  };
  const stuck = ids.some((id) => nodes.get(id).stuck);
  return html`<svg class="graph" role="group" aria-label=${c.picture(stuck)} width=${columns * ACROSS} height=${(rows + (stuck
    && 0.75)) * DOWN}>
    <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
      <path d="M0 0 8 4 0 8z" /></marker>
    ${edges.map((edge) => html`<path key=${`${edge.from} ${edge.to}`} class=${`${edge.held ? 'holds' : ''} ${edge.stuck ? 'stuck' : ''}`}
      d=${line(spot(edge.from), spot(edge.to), back.has(edge))} marker-end="url(#arrow)" />`)}
    ${ids.map(node)}</svg>`;
}

export function Graph({ seen }) {
  const [nodes, edges] = graphOf(seen);
  if (nodes.size > MOST) return html`<p class="soft">${c.pictureNot(nodes.size)}</p>`;
  return html`<section class="panel stack"><p class="hint">${c.pictureHint}</p>
    <div class="graphs">${parts([...nodes.keys()], edges).map((ids) => html`
      <${Part} key=${ids[0]} ids=${ids} nodes=${nodes} edges=${edges.filter(({ from }) => ids.includes(from))} />`)}</div></section>`;
}
