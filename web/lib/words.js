// Every word of the page, in one table: to be read in one go, and to be translated. A function where something is filled in.
import { bytes, count } from './format.js';

const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

export const t = {
  app: {
    name: 'forkful',
    skip: 'Skip to the content',
    navigation: 'Main',
    processes: 'Processes', coordination: 'Coordination', daemon: 'Daemon', start: 'Start a process',
    palette: 'Commands', paletteHint: 'Type what you want to do', paletteNone: 'No such command.',
    help: 'Keyboard', helpHint: 'Keys work while no text field has the focus.',
    theme: { auto: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' },
    leave: 'Forget the token',
    unknown: 'There is no such place.', unknownHint: 'Back to the processes',
    title: (part) => part ? `${part} · forkful` : 'forkful',
  },
  link: {
    connecting: 'connecting', live: 'live',
    lost: (seconds) => `disconnected for ${seconds}`,
    refused: 'refused', lostShort: 'disconnected',
    lostLong: (seconds, retry) => `No connection to the daemon for ${seconds}. What you see is from then. Trying again ${retry}; nothing will be missed.`,
    now: 'now', in: (seconds) => `in ${seconds}`,
  },
  login: {
    title: 'Sign in',
    expired: 'The daemon no longer accepts the token: it has expired, was deleted, or the daemon has a new state directory.',
    code: 'That link was used already, or is older than it may be. Ask for a new one.',
    how: 'In a terminal of the daemon\'s user:',
    where: 'Or paste a token. The daemon\'s own is in the file “token” of its state directory.',
    token: 'Token', open: 'Open', opening: 'Signing in …',
    stays: 'It stays in this tab and is forgotten with it.',
  },
  errors: {
    status: (status) => `The daemon answered ${status}.`,
    unreachable: 'The daemon does not answer.',
    title: 'That did not work',
    forbidden: 'Your token may not see this',
    forbiddenHint: 'Ask for a token with more scopes.',
    notFound: 'It is not there',
    notFoundHint: 'It was deleted, or never existed.',
    request: (id) => `Request ${id}`,
    again: 'Try again',
  },
  common: {
    loading: 'Loading …', close: 'Close', cancel: 'Cancel', copy: 'Copy', copied: 'Copied', all: 'all', none: 'none', yes: 'yes', no: 'no',
    remove: 'Remove', add: 'Add', more: 'More', search: 'Search', select: (name) => `Select ${name}`, selectAll: 'Select all', ago: (d) => `${d} ago`,
    rows: (n) => plural(n, 'row', 'rows'), sort: (title) => `Sort by ${title}`, noMatch: 'Nothing matches.', clear: 'Clear the filter',
  },
  commands: {
    palette: 'Find a command', help: 'Show the keys', theme: 'Change the theme', leave: 'Forget the token',
    processes: 'Go to the processes', coordination: 'Go to coordination', daemon: 'Go to the daemon',
    search: 'Search', down: 'Next row', up: 'Row before', open: 'Open', select: 'Select the row', back: 'Back',
  },
};

const REASONS = {
  timeout: 'it ran too long', stopped: 'stopped on request', oom: 'out of memory', parent_exit: 'its parent ended',
  shutdown: 'the daemon was shut down', reboot: 'the machine was restarted', keeper_lost: 'nobody was there to see it',
};

/** How a process ended, in words; '' while it has not. */
export function ending(p) {
  const { exit } = p;
  if (p.state === 'failed') return `could not be started: ${p.error.errno} at ${p.error.stage}`;
  if (!exit) return p.state === 'lost' ? 'its end was not seen' : '';
  const what = exit.kind === 'exited' ? (exit.code === 0 ? 'done' : `exit code ${exit.code}`)
    : exit.kind === 'signaled' ? `killed by ${exit.signal}${exit.core_dumped ? ', core dumped' : ''}` : 'its end was not seen';
  return REASONS[exit.reason] ? `${what}, ${REASONS[exit.reason]}` : what;
}

/** An end that somebody asked for is none to be shown in red. */
export const wentWrong = (p) => ['failed', 'lost'].includes(p.state)
  || (Boolean(p.exitcode) && !['stopped', 'shutdown', 'parent_exit'].includes(p.exit?.reason));

export const missing = ({ bytes: n, records, reason }) => {
  const what = records ? plural(records, 'line', 'lines') : n === null ? 'some output' : bytes(n);
  const why = { drop_oldest: 'dropped: the log was full', drop_newest: 'not kept: the log is full', retention: 'deleted by age',
    trimmed: 'deleted on request', keeper_lost: 'lost with the keeper' }[reason] ?? reason;
  return `${what} ${why}`;
};
