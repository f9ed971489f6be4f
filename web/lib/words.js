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
  coordination: {
    kinds: { '': 'Overview', waits: 'Who waits', queues: 'Queues', locks: 'Locks', semaphores: 'Semaphores', barriers: 'Barriers', conditions: 'Conditions', events: 'Events', values: 'Values', pipes: 'Pipes', pools: 'Pools', holds: 'Holds', sessions: 'Sessions' },
    noun: { queues: 'queue', locks: 'lock', semaphores: 'semaphore', barriers: 'barrier', conditions: 'condition', events: 'event', values: 'value', pipes: 'pipe', pools: 'pool' },
    hints: { waits: 'Calls that wait for a lock, a message, an event … are shown here, and deadlocks among them.', queues: 'Messages, handed out one by one', locks: 'One owner at a time', semaphores: 'So many owners at a time', barriers: 'All wait until the last has come',
      conditions: 'Wait under a lock until notified', events: 'A flag that many wait for', values: 'Shared values, changed atomically', pipes: 'Two ends that talk', pools: 'Workers that take tasks', holds: 'What anybody has now', sessions: 'Owners that are no processes' },
    columns: { name: 'Name', state: 'State', kind: 'Kind', count: 'Number', hint: 'What it is', waiters: 'Waiting', ready: 'Ready', leased: 'Leased', delayed: 'Delayed', buried: 'Buried', oldest: 'Oldest', holder: 'Holder', since: 'Since', available: 'Free', holds: 'Held',
      n_waiting: 'Waiting', parties: 'Parties', generation: 'Generation', lock: 'Lock', value: 'Value', version: 'Version', a: 'For a', b: 'For b', mode: 'Mode', workers: 'Workers', queued: 'Queued', running: 'Running', done: 'Done', failed: 'Failed', cancelled: 'Cancelled', total: 'Tasks',
      owner: 'Owner', expires: 'Expires', fence: 'Fence', resource: 'On', id: 'Id', scopes: 'Scopes', processes: 'Processes', waiter: 'Who', previous: 'Had last', broken: 'Broken', type: 'Type', length: 'Length', size_bytes: 'Size', size: 'Size', min: 'At least', unfinished: 'Unfinished', bytes: 'Size',
      oldest_age_seconds: 'Oldest unfinished', putters: 'Wait for room', put_total: 'Put in all', acked_total: 'Done in all', taken_total: 'Taken in all', expired_total: 'Expired in all', max_messages: 'Most messages', max_bytes: 'Most bytes', max_attempts: 'Most attempts', lease_seconds: 'Lease',
      reentrant: 'Reentrant', max: 'At most', timeout_seconds: 'Breaks after', duplex: 'Both ways', submitted_total: 'Tasks in all', workers_total: 'Processes in all', max_tasks: 'Tasks a worker', last_error: 'Could not start', priority: 'Priority', attempt: 'Attempts', enqueued: 'Put at', readyAt: 'Ready at',
      contentType: 'Content type', reason: 'Reason', received: 'To be received', sent: 'Sent', receivers: 'Wait to receive', senders: 'Wait to send', exitcode: 'Exit code', process: 'Process', submitted: 'Given at', finished: 'Ended at', error: 'Error', served: 'Done' },
    state: { closed: 'closed', empty: 'empty', free: 'free', held: 'held', set: 'set', clear: 'clear', open: 'open', eof: 'at its end', idle: 'idle', terminated: 'terminated', buried: (n) => `${count(n)} buried`, full: (n) => `full, ${count(n)} wait for room`, ready: (n) => `${count(n)} ready`,
      heldWaits: (n) => `held, ${count(n)} waiting`, available: (free, all) => `${count(free)} of ${count(all)} free`, broken: (why) => `broken: ${why}`, waiting: (n, all) => `${count(n)} of ${count(all)} there`, waiters: (n) => `${count(n)} waiting`, failed: (n) => `${count(n)} failed`, works: (n) => `${count(n)} running` },
    messageStates: { '': 'All', ready: 'Ready', delayed: 'Delayed', leased: 'Leased', buried: 'Buried' },
    taskStates: { '': 'All', queued: 'Queued', running: 'Running', done: 'Done', failed: 'Failed', buried: 'Buried', cancelled: 'Cancelled' },
    workerStates: { starting: 'starting', idle: 'idle', busy: 'busy', retiring: 'retiring', stopping: 'stopping' },
    ended: { acked: 'done', released: 'released', expired: 'expired', owner_ended: 'its owner ended', broken: 'broken by somebody', closed: 'closed', buried: 'buried', timeout: 'waited too long', aborted: 'aborted', reset: 'reset' },
    acts: { messages: 'Put a message', kick: 'Kick', purge: 'Purge …', close: 'Close', release: 'Give one back', reset: 'Reset', abort: 'Abort', notify: 'Notify one', notify_all: 'Notify all', set: 'Set', clear: 'Clear', close_a: 'Close a', close_b: 'Close b', tasks: 'Give a task', terminate: 'Terminate', delete: 'Delete',
      done: { messages: 'Message put', close: 'Closed', release: 'One given back', reset: 'Reset', abort: 'Aborted', notify: 'Notified', notify_all: 'Notified', set: 'Set', clear: 'Cleared', close_a: 'Closed', close_b: 'Closed', tasks: 'Task given', terminate: 'Terminated' },
      ask: { close: (name) => `Close ${name}?`, reset: (name) => `Reset ${name}?`, abort: (name) => `Abort ${name}?`, terminate: (name) => `Terminate ${name}?`, close_a: (name) => `Close end a of ${name}?`, close_b: (name) => `Close end b of ${name}?` },
      text: { close: 'It takes nothing more; what is in it is still handed out. It cannot be opened again.', reset: 'Who waits there is told that it is broken; then it can be used again.', abort: 'Who waits there, and who comes, is told that it is broken, until it is reset.', terminate: 'Its workers are killed, its tasks cancelled.',
        close_a: 'The other end reads what is left, then the end.', close_b: 'The other end reads what is left, then the end.' },
      purgeAsk: (name) => `Purge ${name}?`, purgeText: 'The messages are gone then. Leased ones stay.', purged: (n) => `${plural(n, 'message', 'messages')} purged`, kicked: (n) => `${plural(n, 'message', 'messages')} ready again` },
    fields: { body: 'Body', type: 'Content type', priority: 'Priority (larger goes first)', delay: 'Delay, seconds', max_messages: 'Most messages (empty: no limit)', max_attempts: 'Attempts before it is buried or failed (0: no limit)', durable: 'Durable: outlives the server', reentrant: 'Reentrant', value: 'Free at first', max: 'Never more than',
      parties: 'Parties', timeout_seconds: 'Breaks after, seconds', duplex: 'Both ways', shell: 'Shell line', shellHint: 'spawn: a process for each task, which reads it from its input. stdio: lasting workers, a line of JSON in, a line out.', processes: 'Processes at most (empty: as many as processors)' },
    value: { title: 'Value', save: 'Save', drop: 'Drop my change', saved: 'Saved', version: (n) => `version ${count(n)}`, notType: (type) => `This is no ${type}.`, bytes: 'Bytes are not shown here; GET the value as application/octet-stream.',
      conflict: (n) => `Somebody has changed it meanwhile: version ${count(n)} is`, take: 'Take theirs', keep: 'Keep mine, over theirs' },
    make: (noun) => `New ${noun}`, nameHint: 'Letters, digits, dot, dash and underscore', search: 'Search by name', goTo: (kind) => `Coordination: ${kind}`, kindsLabel: 'Kinds', all: 'What there is', look: 'Worth a look', nothingStuck: 'Nothing is stuck.',
    none: 'Nothing has been made yet', noneHint: 'Make a queue, a lock … here under its kind, or from a terminal:', noneOf: (kind) => `${kind}: none`, nobody: 'somebody with an admin token', deadlock: (names) => `Deadlock: ${names.join(' → ')} → ${names[0]}`,
    break: 'Break', breakName: (resource) => `Break the hold on ${resource}`, breakAsk: (resource) => `Break the hold on ${resource}?`, breakText: 'Its owner loses it without being asked and may still be at work; the next in line gets it. What both touch may be damaged, unless it checks the fence.', broken: 'Broken; the next in line has it',
    holders: 'Who has it', waiters: 'Who waits', ownedBy: 'ends with', permanent: 'stays until deleted', durable: 'durable', notDurable: 'gone with the server', made: 'made', deleteAsk: (name) => `Delete ${name}?`, deleteText: 'Everybody who waits for it is told so. What is in it is gone.', deleted: (name) => `${name} deleted`,
    exitcode: (n) => `exit code ${n}`, depth: 'Depth', message: 'Message', messages: 'Messages', noMessages: 'No messages.', moreMessages: 'Show more', emptyBody: '(empty)', omitted: '(long: open it)', goesOn: 'leased by', end: (end) => `End ${end}`,
    workers: 'Workers', tasks: 'Tasks', task: 'Task', noTasks: 'No tasks.', batch: 'Batch', batches: 'Batches', batchOf: (n, all) => `${count(n)} of ${count(all)}`, result: 'Result', lastOutput: 'Its last output', attemptN: (n) => `Attempt ${n}`,
    waitsFor: 'waits for', isWaitedFor: 'keeps waiting:', heldBy: 'which is held by', above: '(see above)', nobodyWaits: 'Nobody waits', openWaits: 'Waits for what nobody holds', deadlockTitle: (n) => `Deadlock of ${n}`, deadlockHint: 'None of them can go on. Break one of the holds, or end one of the processes.',
    sessionAsk: 'End the session?', sessionText: 'What it holds is handed on, its daemonic processes are ended.', sessionEnd: 'End', sessionEnded: 'Session ended', sessionName: (id) => `End session ${id}`,
  },
  daemon: {
    tabs: { overview: 'Overview', log: 'Log', changes: 'Changes', audit: 'Audit', tokens: 'Tokens', api: 'API' }, tabsLabel: 'Parts', health: { ok: 'healthy', degraded: 'cannot write its database', draining: 'shutting down' }, ready: 'ready', notReady: 'not ready', alive: 'alive', notAlive: 'not alive',
    facts: { version: 'Version', uptime: 'Running for', started: 'Started', keeper: 'Keeper', server: 'Server', restarts: 'Server restarts', memory: 'Memory of the machine', cpus: 'Processors', listeners: 'Listens on', state: 'State directory', runtime: 'Runtime directory', kernel: 'Kernel', executor: 'Runs processes', spool: 'Spool', journal: 'Journal', features: 'Can do', missing: 'Cannot do',
      rss: 'Memory of the server', cpu: 'Its processor time' },
    pid: (pid) => `PID ${pid}`, of: (used, all) => `${used} of ${all}`, free: (free, all) => `${free} of ${all} free`, cpus: (usable, all) => usable === all ? count(all) : `${count(usable)} of ${count(all)}`, limits: 'Limits', limitColumns: { name: 'Limit', used: 'In use', limit: 'At most' }, noLimit: 'no limit',
    upgrade: 'Upgrade …', upgradeAsk: 'Upgrade the daemon?', upgradeText: 'It executes its own file again. No process, listener or byte of output is lost; calls that wait are to be repeated.', upgradeDo: 'Upgrade', upgraded: 'The upgrade has begun',
    shutdown: 'Shut down …', shutdownAsk: 'Shut the daemon down?', shutdownText: 'Daemonic processes are ended at once, the others are waited for so long and then stopped. Nobody answers here afterwards.', shutdownDo: 'Shut down', shutdownWait: 'Wait for processes, seconds', shutDown: 'The daemon is shutting down',
    levels: { debug: 'Debug', info: 'Info', warning: 'Warning', error: 'Error' }, level: 'Shown, from this level on', keeps: 'The daemon keeps', kept: (level) => `From now on it keeps ${level} and graver`, older: 'Show older ones', noRows: 'Nothing.', row: 'Row',
    columns: { at: 'Time', level: 'Level', process: 'Process', text: 'Text', type: 'Change', ref: 'Of', data: 'More', principal: 'Who', action: 'What', target: 'On', status: 'Answer', label: 'Label', scopes: 'Scopes', expires: 'Expires', used: 'Last used', created: 'Made' },
    filters: { principal: 'Who (admin, k_…, p_…, uid:1000)', action: 'What (createToken, …)', type: 'Change (process., queue.closed, …)', ref: 'Of (id or name)' }, anybody: 'unknown', dropped: 'client gone',
    tokenNew: 'New token', tokenLabel: 'Label', tokenDays: 'Expires after, days (empty: never)', tokenScopes: { read: 'read: see everything but output and the log', logs: 'logs: read output and the log', operate: 'operate: signals, queues, locks, values …', spawn: 'spawn: start processes', admin: 'admin: all, and tokens, audit, shutdown' },
    tokenOnce: 'The token', tokenOnceText: 'It is shown this once: only a hash of it is kept.', tokenNone: 'No tokens', tokenNoneHint: 'The daemon\'s own admin token is in the file “token” of its state directory and is not listed.', tokenDelete: 'Delete', tokenDeleteName: (label) => `Delete token ${label}`, tokenDeleteAsk: (label) => `Delete the token ${label}?`,
    tokenDeleteText: 'Who uses it is refused from now on.', tokenDeleted: 'Token deleted', never: 'never', noLabel: 'without a label', scopeNeeded: 'At least one scope.',
    api: 'The description of this API', apiText: 'Every call, field and code is in one document, from which this build answers:', swagger: 'Swagger UI', swaggerNone: 'This build has no Swagger UI; make SWAGGER=1 embeds it.',
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
