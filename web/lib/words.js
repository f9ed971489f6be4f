// Every word of the page, in one table: to be read in one go, and to be translated. A function where something is filled in.
import { bytes, count } from './format.js';

const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

/** What one asks for, and what came of it. */
const BULK = {
  stop: ['Stop', 'asked to stop'], kill: ['Kill', 'killed'], signal: ['Send a signal to', 'signalled'],
  pause: ['Pause', 'paused'], resume: ['Resume', 'resumed'], delete: ['Delete', 'deleted'],
};

export const t = {
  app: {
    name: 'forkful',
    skip: 'Skip to the content',
    navigation: 'Main',
    processes: 'Processes', coordination: 'Coordination', daemon: 'Daemon', start: 'Start a process',
    palette: 'Commands', paletteHint: 'Type what you want to do', paletteNone: 'No such command.',
    help: 'Keyboard', helpHint: 'Keys work while no text field has the focus.',
    theme: { auto: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' },
    unknown: 'There is no such place.', unknownHint: 'Back to the processes',
    title: (part) => part ? `${part} · forkful` : 'forkful',
  },
  link: {
    title: 'Connection', connecting: 'connecting', live: 'live',
    lost: (seconds) => `disconnected for ${seconds}`,
    refused: 'refused', lostShort: 'disconnected',
    lostLong: (seconds, retry) =>
      `No connection to the daemon for ${seconds}. What you see is from then. Trying again ${retry}; nothing will be missed.`,
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
    scope: (scope) => `Your token lacks the scope “${scope}”.`,
  },
  common: {
    loading: 'Loading …', close: 'Close', cancel: 'Cancel', copy: 'Copy', copied: 'Copied', all: 'all', none: 'none',
    yes: 'yes', no: 'no',
    remove: 'Remove', add: 'Add', more: 'More', search: 'Search', select: (name) => `Select ${name}`, selectAll: 'Select all',
    ago: (d) => `${d} ago`,
    rows: (n) => plural(n, 'row', 'rows'), sort: (title) => `Sort by ${title}`, noMatch: 'Nothing matches.', time: 'Time',
    clear: 'Clear the filter',
  },
  commands: {
    palette: 'Find a command', help: 'Show the keys', theme: 'Change the theme', leave: 'Sign out',
    processes: 'Go to the processes', coordination: 'Go to coordination', daemon: 'Go to the daemon',
    search: 'Search', down: 'Next row', up: 'Row before', open: 'Open', select: 'Select the row', back: 'Back',
    start: 'Start a process', unselect: 'Clear the selection',
  },
  states: { created: 'not started', pending: 'waits for its lock', running: 'running', stopping: 'stopping', exited: 'ended',
    failed: 'could not be started', lost: 'lost', paused: 'paused' },
  processes: {
    name: 'Name', state: 'State', time: 'Time', cpu: 'CPU', memory: 'Memory', pid: 'PID', command: 'Command',
    search: 'Search name, command, label, id', groups: { all: 'All', live: 'Live', ended: 'Ended', wrong: 'Went wrong' },
    tree: 'Tree', showTree: 'Show as a tree, or not', save: '☆ Keep this filter', unsave: 'Drop this filter', byLabel: (label) => `Only ${label}`,
    ran: (time) => `ran ${time}`, older: 'Show older ones',
    none: 'Nothing has been started yet', noneHint: 'Start a process here, or from a terminal:',
  },
  bulk: {
    selected: (n) => `${count(n)} selected`, others: (n) => ` and ${n} more`, ok: 'done',
    actions: { stop: 'Stop', kill: 'Kill', signal: 'Signal …', pause: 'Pause', resume: 'Resume', delete: 'Delete' },
    ask: (action, n) => `${BULK[action][0]} ${plural(n, 'process', 'processes')}?`,
    title: (action) => `${BULK[action][0]}: what came of it`,
    done: (action, n) => `${plural(n, 'process', 'processes')}: ${BULK[action][1]}`,
    some: (good, bad) => `${count(good)} done, ${count(bad)} refused.`,
  },
  actions: {
    start: 'Start', stop: 'Stop', kill: 'Kill', signal: 'Signal …', pause: 'Pause', resume: 'Resume', again: 'Run again',
    delete: 'Delete', send: 'Send',
    signalName: 'Signal', signalHint: 'A name or a number: SIGHUP, TERM, 15, SIGRTMIN+3', scope: 'To',
    scopes: { main: 'the process', group: 'its group', tree: 'its whole tree' },
    signalTitle: (name) => `Signal to ${name}`, sent: (signal) => `${signal} sent`,
    killAsk: (name) => `Kill ${name}?`, killText: 'SIGKILL to its whole tree, at once. It cannot clean up behind itself.',
    killIn: (time) => `stopping, SIGKILL in ${time}`, killing: 'SIGKILL',
    deleteAsk: (name) => `Delete ${name}?`, deleteText: 'Its record and all of its output are gone then.',
    deleted: (name) => `${name} deleted`,
  },
  log: {
    title: 'Output', search: 'Search the output (regular expression)', only: 'Only matches', next: 'Next match',
    before: 'Match before', both: 'both streams', stream: 'Stream',
    wrap: 'Wrap', times: 'Times', download: 'Download', downloadFiltered: 'Download what is shown', follow: 'Follow',
    following: 'Following', end: 'To the end',
    fresh: (n) => plural(n, 'new line', 'new lines'), lines: (n) => plural(n, 'line', 'lines'), matches: (n) => plural(n,
      'match', 'matches'), complete: 'complete', none: 'It wrote nothing.',
    toLine: (seq) => `Line ${seq}, with what stands around it`, notFound: (grep) => `Nowhere: ${grep}`,
    stdin: 'stdin', stdinHint: 'a line for the process', send: 'Send', eof: 'End of input', eofSent: 'The input has ended',
  },
  process: {
    title: 'Process', tabs: 'Parts', tab: { log: 'Log', overview: 'Overview', stats: 'Stats', changes: 'Changes',
      spec: 'Spec' }, daemon: 'the daemon', isDaemon: 'daemon: ends with its parent',
    facts: { command: 'Command', cwd: 'Directory', id: 'Id', parent: 'Started by', pid: 'PID', end: 'End', created: 'Created',
      started: 'Started', exited: 'Ended', cpu: 'Processor time', memory: 'Largest memory',
      output: 'Output', env: 'Environment', flag: 'Kind', left: 'Left behind' },
    output: (out, err, dropped, open) =>
      `${out} stdout, ${err} stderr${dropped ? `, ${dropped} dropped` : ''}${open ? '; somebody still holds the pipe' : ''}`,
    leftBehind: (n) => `${plural(n, 'process', 'processes')} that it made still live`,
    tree: 'Tree', treeSum: (n, memory) => `${plural(n, 'process', 'processes')}, ${memory}`, treeColumns: { program: 'Program',
      pid: 'PID', cpu: 'CPU time', memory: 'Memory' },
    noStats: 'Nothing to measure', noStatsHint: 'It does not run. What it used in all is in the overview.',
    stats: { cpu: 'Processor, of one core', memory: 'Memory', handles: 'Threads and descriptors', threads: 'threads',
      fds: 'descriptors' },
    noChanges: 'What happened is no longer kept.',
    specHint: 'What the daemon tells of how it was started. Limits and input are not told.',
    specEnv: (keys) => `Values of its environment are never shown; it was given ${keys}.`,
    specJson: 'To start the same', specCurl: 'As a curl line', record: 'The record',
  },
  changes: {
    'process.created': 'created', 'process.started': 'started', 'process.stopping': 'asked to stop', 'process.exited': 'ended',
    'process.failed': 'could not be started', 'process.lost': 'lost: nobody saw its end',
    'process.deleted': 'deleted', 'process.output_closed': 'its output is complete',
  },
  start: {
    start: 'Start', what: 'What to run', modes: { argv: 'Program and arguments', shell: 'Shell line' }, program: 'Program',
    programHint: 'python3', argument: (n) => `Argument ${n}`,
    addArgument: 'Argument', removeArgument: (n) => `Remove argument ${n}`, split: 'Split at blanks into arguments',
    openQuote: (quote) => `The quote ${quote} is not closed.`,
    argvHint: 'Each field arrives as it stands: no shell, so $VAR, *, | and > mean nothing. Enter adds a field.',
    shellHint: 'The whole line goes to /bin/sh -c, which expands and interprets it.',
    secrets: 'Variables from files', secretName: (n) => `Name of secret ${n}`, secretFile: (n) => `File of secret ${n}`,
    env: 'Environment', envName: (n) => `Name of variable ${n}`, envValue: (n) => `Value of variable ${n}`, labels: 'Labels',
    labelName: (n) => `Name of label ${n}`, labelValue: (n) => `Value of label ${n}`,
    removePair: (key) => `Remove ${key}`, stdin: 'Input', stdins: { null: 'none', pipe: 'a pipe, to be written later',
      text: 'this text' }, limits: 'Limits and stopping', more: 'More',
    fields: { name: 'Name', cwd: 'Directory', timeout: 'Longest run, seconds', grace: 'Grace before SIGKILL, seconds',
      stopSignal: 'Signal to stop', nofile: 'Open files', memory: 'Address space, bytes', cpu: 'Processor time, seconds',
      nice: 'Niceness', maxOutput: 'Output kept, bytes', whenFull: 'When the output is full', user: 'User', group: 'Group',
      lock: 'Waits for the lock', onExit: 'Final record into the queue',
      daemon: 'Daemon: ends with its parent, makes no processes', mergeStderr: 'stderr into stdout, in exact order',
      clearEnv: 'Begin with an empty environment', noApi: 'Gets no token for this API',
      rights: 'May gain rights by what it executes (set-user-ID)' },
    hints: { name: 'Left out: Process-N', cwd: 'Left out: the daemon\'s own' }, full: { '': 'as by default',
      drop_oldest: 'drop the oldest', drop_newest: 'keep the oldest', block: 'let it wait' },
    curl: 'The same as a curl line', recent: 'Started lately',
    recentHint: 'From this browser. Values of the environment and input are not kept.', aside: 'Preview and templates',
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

export const missing = ({ bytes: n, records, reason }) => {
  const what = records ? plural(records, 'line', 'lines') : n === null ? 'some output' : bytes(n);
  const why = { drop_oldest: 'dropped: the log was full', drop_newest: 'not kept: the log is full', retention: 'deleted by age',
    trimmed: 'deleted on request', keeper_lost: 'lost with the keeper' }[reason] ?? reason;
  return `${what} ${why}`;
};
