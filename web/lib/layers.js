// Places a directed graph in columns from left to right: each node stands behind all that lead to it, but for the edges that close
// a circle, which lead back. Pure functions, for some dozens of nodes. An edge is { from, to }, a node its id.

/** The nodes in the order of their columns, and the edges that lead back. */
function unrolled(ids, edges) {
  const [state, order, back] = [new Map(), [], new Set()];
  const visit = (id) => {
    if (state.has(id)) return;
    state.set(id, 'open');
    for (const edge of edges.filter(({ from }) => from === id)) {
      if (state.get(edge.to) === 'open') back.add(edge);
      else visit(edge.to);
    }
    state.set(id, 'done');
    order.unshift(id);
  };
  // Where nothing leads to, it begins; a circle may begin anywhere.
  ids.filter((id) => !edges.some(({ to }) => to === id)).forEach(visit);
  ids.forEach(visit);
  return [order, back];
}

/** What hangs together, as lists of nodes. */
export function parts(ids, edges) {
  const part = new Map(ids.map((id) => [id, id]));
  for (const { from, to } of edges) {
    const [one, other] = [part.get(from), part.get(to)];
    for (const id of ids) if (part.get(id) === other) part.set(id, one);
  }
  return [...new Set(part.values())].map((one) => ids.filter((id) => part.get(id) === one));
}

/** { at: node → [column, row], back: the edges that lead back, columns, rows }. Rows are as near as may be to the neighbours'. */
export function layers(ids, edges) {
  const [order, back] = unrolled(ids, edges);
  const column = new Map(ids.map((id) => [id, 0]));
  for (const id of order) {
    for (const edge of edges) {
      if (edge.from === id && !back.has(edge)) column.set(edge.to, Math.max(column.get(edge.to), column.get(id) + 1));
    }
  }
  const columns = [];
  for (const id of ids) (columns[column.get(id)] ??= []).push(id);
  const rows = Math.max(...columns.map((all) => all.length));
  const row = new Map();
  const place = (all) => all.forEach((id, i) => row.set(id, i + (rows - all.length) / 2));
  columns.forEach(place);
  const wish = (id) => {
    const near = edges.flatMap(({ from, to }) => from === id ? [row.get(to)] : to === id ? [row.get(from)] : []);
    return near.reduce((sum, one) => sum + one, 0) / near.length;
  };
  for (let sweep = 0; sweep < 4; sweep += 1) columns.forEach((all) => place(all.sort((a, b) => wish(a) - wish(b))));
  return { at: new Map(ids.map((id) => [id, [column.get(id), row.get(id)]])), back, columns: columns.length, rows };
}
