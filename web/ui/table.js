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
    <button type="button" class="sort" title=${t.common.sort(column.title)}
        onClick=${() => onSort(at && !down ? `-${column.key}` : column.key)}>
      ${column.title}<span aria-hidden="true">${at ? (down ? ' ↓' : ' ↑') : ''}</span></button></th>`;
}

const Gap = ({ rows }) => rows > 0 && html`<tr aria-hidden="true" class="gap"
    style=${{ height: `${rows * ROW}px` }}><td></td></tr>`;

/** The columns in the order of `sort` ('key', or '-key' from the largest on); column.sort(row) is what is compared. */
export function sorted(rows, columns, sort) {
  const column = columns.find((one) => one.key === sort?.replace('-', ''));
  if (!column?.sort) return rows;
  const sign = sort.startsWith('-') ? -1 : 1;
  const keyed = rows.map((row) => [column.sort(row), row]);
  keyed.sort(([a], [b]) => a === b ? 0 : a === null ? 1 : b === null ? -1 : (a < b ? -sign : sign));
  return keyed.map(([, row]) => row);
}

/** The row one has walked to, by its key; it has the focus, and keeps its place when rows come and go. */
function useCurrent(box, keys) {
  const current = useRef(null);
  const index = () => keys.indexOf(current.current);
  /** False when the row is not drawn yet. */
  const focus = () => {
    const link = box.current?.querySelector(`tr[data-key="${CSS.escape(current.current)}"] :is(a, button)`);
    link?.focus({ preventScroll: true });
    return Boolean(link);
  };
  const reveal = (at) => {
    const { scrollTop, clientHeight } = box.current;
    const room = clientHeight - ROW;  // the heading stands before the rows
    if (at * ROW < scrollTop) box.current.scrollTop = at * ROW;
    else if ((at + 2) * ROW > scrollTop + room) box.current.scrollTop = (at + 2) * ROW - room;
  };
  const step = (by) => {
    if (keys.length === 0) return;
    const from = index() < 0 ? (by > 0 ? -1 : keys.length) : index();
    const at = Math.max(0, Math.min(keys.length - 1, from + by));
    current.current = keys[at];
    reveal(at);
    if (!focus()) requestAnimationFrame(() => requestAnimationFrame(focus));
  };
  return { current, index, step };
}

/** Selects a row or takes it away; with `range` all from the last one on. */
function useSelect(keys, selected, onSelect) {
  const anchor = useRef(null);
  return (key, range) => {
    const next = new Set(selected);
    const [a, b] = [keys.indexOf(anchor.current), keys.indexOf(key)];
    const all = range && a >= 0 ? keys.slice(Math.min(a, b), Math.max(a, b) + 1) : [key];
    for (const one of all) if (selected.has(key)) next.delete(one); else next.add(one);
    anchor.current = key;
    onSelect(next);
  };
}

const Tick = ({ label, checked, ...rest }) => html`<input type="checkbox" aria-label=${label} checked=${checked} ...${rest} />`;

/**
 * columns: [{ key, title, cell(row), sort?(row), class? }]; the cell of the first must hold the row's link or button.
 * rows are given in order. selected: a Set of keys, with onSelect(keys); leave both out when nothing can be selected.
 * onWindow(rows) hears which rows are in sight.
 */
export function Table(props) {
  const { label, columns, rows, keyOf = (row) => row.id, rowClass = () => '', footer } = props;
  const { sort, onSort, onOpen, selected, onSelect, onWindow } = props;
  const box = useRef(null);
  const keys = rows.map(keyOf);
  const [from, to] = useWindow(box, rows.length);
  const { current, index, step } = useCurrent(box, keys);
  const select = useSelect(keys, selected, onSelect);
  useEffect(() => { onWindow?.(rows.slice(from, to)); }, [keys.slice(from, to).join()]);
  useCommands([
    { id: 'table.down', title: t.commands.down, keys: ['j', 'ArrowDown'], hidden: true, run: () => step(1) },
    { id: 'table.up', title: t.commands.up, keys: ['k', 'ArrowUp'], hidden: true, run: () => step(-1) },
    { id: 'table.open', title: t.commands.open, keys: 'Enter', hidden: true, run: () => index() >= 0 && onOpen?.(rows[index()]) },
    onSelect && {
      id: 'table.select', title: t.commands.select, keys: 'x', hidden: true,
      run: () => index() >= 0 && select(current.current, false),
    },
  ].filter(Boolean));
  const click = (event, row) => {
    current.current = keyOf(row);
    if (!event.target.closest('a, button, input, label') && getSelection().isCollapsed) onOpen?.(row);
  };
  const whole = onSelect && rows.length > 0 && keys.every((key) => selected.has(key));
  const drawRow = (row, i) => {
    const key = keys[from + i];
    return html`<tr key=${key} data-key=${key} aria-rowindex=${from + i + 2} class=${`${rowClass(row)} ${selected?.has(key) ? 'selected' : ''}`}
        onClick=${(event) => click(event, row)} onfocusin=${() => { current.current = key; }}>
      ${onSelect && html`<td class="tick">
        <${Tick} label=${t.common.select(row.name ?? key)} checked=${selected.has(key)} onClick=${(event) => select(key, event.shiftKey)} /></td>`}
      ${columns.map((column) => html`<td key=${column.key} class=${column.class}>${column.cell(row)}</td>`)}
    </tr>`;
  };
  return html`<div class="table-box" ref=${box} tabindex="0" role="region" aria-label=${label}>
    <table class="list" aria-label=${label} aria-rowcount=${rows.length + 1}>
      <thead><tr aria-rowindex="1">
        ${onSelect && html`<th scope="col" class="tick">
          <${Tick} label=${t.common.selectAll} checked=${whole} onChange=${() => onSelect(new Set(whole ? [] : keys))} /></th>`}
        ${columns.map((column) => html`<${Heading} key=${column.key} column=${column} sort=${sort} onSort=${onSort} />`)}
      </tr></thead>
      <tbody><${Gap} rows=${from} />${rows.slice(from, to).map(drawRow)}<${Gap} rows=${rows.length - to} /></tbody>
    </table>
    ${footer}
  </div>`;
}

export const RowCount = ({ shown, all }) => html`<span class="soft" role="status">
  ${shown === all ? t.common.rows(all) : `${count(shown)} / ${t.common.rows(all)}`}</span>`;
