// A table that holds thousands of rows: only those in sight are in the document, between two empty rows as high as the rest.
// Sorted by its headings, walked through with j and k, opened with Enter, selected with x.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { useCommands } from '../lib/commands.js';
import { count } from '../lib/format.js';
import { t } from '../lib/words.js';

const ROW = 34;                       // as --row in style.css
const SPARE = 8;                      // rows drawn beyond the edges, so that scrolling shows no holes

/** The rows in sight: [from, to). */
function useWindow(box, total) {
  const [view, setView] = useState({ top: 0, height: 900 });
  useLayoutEffect(() => {
    const look = () => setView({ top: box.current.scrollTop, height: box.current.clientHeight });
    const resized = new ResizeObserver(look);
    resized.observe(box.current);
    box.current.addEventListener('scroll', look, { passive: true });
    return () => resized.disconnect();
  }, []);
  const from = Math.max(0, Math.min(Math.floor(view.top / ROW) - SPARE, total - Math.ceil(view.height / ROW)));
  return [from, Math.min(total, Math.ceil((view.top + view.height) / ROW) + SPARE)];
}

function Heading({ column, sort, onSort }) {
  const at = sort?.replace('-', '') === column.key;
  const down = at && sort.startsWith('-');
  const direction = at ? (down ? 'descending' : 'ascending') : undefined;
  if (!column.sort) return html`<th scope="col" class=${column.class}>${column.title}</th>`;
  return html`<th scope="col" class=${column.class} aria-sort=${direction}>
    <button type="button" class="sort" title=${t.common.sort(column.title)} onClick=${() => onSort(at && !down ? `-${column.key}` : column.key)}>
      ${column.title}<span aria-hidden="true">${at ? (down ? ' ↓' : ' ↑') : ''}</span></button></th>`;
}

const Gap = ({ rows }) => rows > 0 && html`<tr aria-hidden="true" class="gap" style=${{ height: `${rows * ROW}px` }}><td></td></tr>`;

/** The columns in the order of `sort` ('key', or '-key' from the largest on); column.sort(row) is what is compared. */
export function sorted(rows, columns, sort) {
  const column = columns.find((one) => one.key === sort?.replace('-', ''));
  if (!column?.sort) return rows;
  const sign = sort.startsWith('-') ? -1 : 1;
  const keyed = rows.map((row) => [column.sort(row), row]);
  keyed.sort(([a], [b]) => a === b ? 0 : a === null ? 1 : b === null ? -1 : (a < b ? -sign : sign));
  return keyed.map(([, row]) => row);
}

/**
 * columns: [{ key, title, cell(row), sort?(row), class? }]; the cell of the first must hold the row's link or button.
 * rows are given in order. selected: a Set of keys, with onSelect(keys) — leave both out when nothing can be selected.
 */
export function Table({ label, columns, rows, keyOf = (row) => row.id, sort, onSort, onOpen, selected, onSelect, rowClass = () => '', onWindow, footer }) {
  const box = useRef(null);
  const current = useRef(null);
  const anchor = useRef(null);
  const [from, to] = useWindow(box, rows.length);
  const shown = rows.slice(from, to);
  useEffect(() => { onWindow?.(shown); }, [shown.map(keyOf).join()]);

  const index = () => rows.findIndex((row) => keyOf(row) === current.current);
  /** False when the row is not drawn yet. */
  const focusRow = () => {
    const link = box.current?.querySelector(`tr[data-key="${CSS.escape(current.current)}"] :is(a, button)`);
    link?.focus({ preventScroll: true });
    return Boolean(link);
  };
  const focus = (at) => {
    if (at < 0 || at >= rows.length) return;
    current.current = keyOf(rows[at]);
    const { scrollTop, clientHeight } = box.current;
    const room = clientHeight - ROW;
    if (at * ROW < scrollTop) box.current.scrollTop = at * ROW;
    else if ((at + 2) * ROW > scrollTop + room) box.current.scrollTop = (at + 2) * ROW - room;
    if (!focusRow()) requestAnimationFrame(() => requestAnimationFrame(focusRow));
  };
  const step = (by) => focus(index() < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, index() + by)));

  /** One row, or with Shift all from the last one on. */
  const select = (key, range) => {
    const next = new Set(selected);
    const on = !selected.has(key);
    const [a, b] = [rows.findIndex((row) => keyOf(row) === anchor.current), rows.findIndex((row) => keyOf(row) === key)];
    const all = range && a >= 0 ? rows.slice(Math.min(a, b), Math.max(a, b) + 1).map(keyOf) : [key];
    for (const one of all) if (on) next.add(one); else next.delete(one);
    anchor.current = key;
    onSelect(next);
  };
  useCommands([
    { id: 'table.down', title: t.commands.down, keys: ['j', 'ArrowDown'], run: () => step(1) },
    { id: 'table.up', title: t.commands.up, keys: ['k', 'ArrowUp'], run: () => step(-1) },
    { id: 'table.open', title: t.commands.open, keys: 'Enter', run: () => { if (index() >= 0) onOpen?.(rows[index()]); } },
    ...(onSelect ? [{ id: 'table.select', title: t.commands.select, keys: 'x', run: () => { if (current.current) select(current.current, false); } }] : []),
  ]);

  const click = (event, row) => {
    current.current = keyOf(row);
    if (!event.target.closest('a, button, input, label') && getSelection().isCollapsed) onOpen?.(row);
  };
  const whole = onSelect && rows.length > 0 && rows.every((row) => selected.has(keyOf(row)));
  return html`<div class="table-box" ref=${box} tabindex="0" role="region" aria-label=${label}>
    <table class="list" aria-label=${label} aria-rowcount=${rows.length + 1}>
      <thead><tr aria-rowindex="1">
        ${onSelect && html`<th scope="col" class="tick"><input type="checkbox" aria-label=${t.common.selectAll} checked=${whole}
          onChange=${() => onSelect(whole ? new Set() : new Set(rows.map(keyOf)))} /></th>`}
        ${columns.map((column) => html`<${Heading} key=${column.key} column=${column} sort=${sort} onSort=${onSort} />`)}
      </tr></thead>
      <tbody>
        <${Gap} rows=${from} />
        ${shown.map((row, i) => html`<tr key=${keyOf(row)} data-key=${keyOf(row)} aria-rowindex=${from + i + 2}
            class=${`${rowClass(row)} ${selected?.has(keyOf(row)) ? 'selected' : ''}`} onClick=${(event) => click(event, row)}
            onfocusin=${() => { current.current = keyOf(row); }}>
          ${onSelect && html`<td class="tick"><input type="checkbox" aria-label=${t.common.select(row.name ?? keyOf(row))} checked=${selected.has(keyOf(row))}
            onClick=${(event) => select(keyOf(row), event.shiftKey)} /></td>`}
          ${columns.map((column) => html`<td key=${column.key} class=${column.class}>${column.cell(row)}</td>`)}
        </tr>`)}
        <${Gap} rows=${rows.length - to} />
      </tbody>
    </table>
    ${footer}
  </div>`;
}

export const RowCount = ({ shown, all }) => html`<span class="soft" role="status">${shown === all ? t.common.rows(all) : `${count(shown)} / ${t.common.rows(all)}`}</span>`;
