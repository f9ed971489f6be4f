// What one can do without a mouse: commands with a title and perhaps keys, found in the palette (Ctrl+K) and listed by '?'.
// Keys are written as typed: 'j', '?', 'g p' for one after the other, 'Ctrl+k'.
import { useEffect, useRef } from './html.js';
import { signal } from './signal.js';

export const registered = signal([]);

/**
 * command: { id, title, keys?, run(), hidden?, general? }; a later one with the same keys wins. `hidden` ones are not in the
 * palette, `general` ones stand last there. Gives what takes it away again.
 */
export function register(command) {
  registered.value = [...registered.value, command];
  return () => { registered.value = registered.value.filter((one) => one !== command); };
}

/** The commands of a component, for as long as it is shown; what they run is always the newest. */
export function useCommands(list) {
  const latest = useRef(list);
  latest.current = list;
  useEffect(() => {
    const newest = (id) => latest.current.find((one) => one.id === id);
    const ends = list.map((command) => register({ ...command, run: (event) => newest(command.id)?.run(event) }));
    return () => ends.forEach((end) => end());
  }, [list.map((one) => one.id).join()]);
}

const typing = (target) => target.closest?.('input:not([type=checkbox]), textarea, select, [contenteditable]');

function pressed(event) {
  const ctrl = event.ctrlKey || event.metaKey ? 'Ctrl+' : '';
  return ctrl + (ctrl ? event.key.toLowerCase() : event.key);
}

let before = '';

/** The one listener of the page. While somebody types or a dialog is open, only keys with Ctrl are ours. */
function onKey(event) {
  const key = pressed(event);
  const plain = !key.startsWith('Ctrl+');
  if (event.defaultPrevented || event.altKey) return;
  if (plain && (typing(event.target) || document.querySelector('dialog[open]'))) return;
  if (plain && key === 'Enter' && event.target.closest?.('a, button, summary')) return;
  const find = (keys) => registered.value.findLast((one) => [one.keys].flat().includes(keys));
  const command = find(`${before} ${key}`) ?? find(key);
  before = command ? '' : key;
  if (!command) return;
  event.preventDefault();
  command.run(event);
}

export const listen = () => addEventListener('keydown', onKey);
