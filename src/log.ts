import { harmless } from './api/text.ts';
import { commandOf, messageOf, WorkError } from './error.ts';

type Fields = Record<string, unknown>;

/** What a line about a fault has to say. */
export type Fault = Fields & {
  /** What it concerns: a path, `nodes/NODE`, the name of a link or a rule. */
  object: string;
  /** What was run or asked: a command line, or `update overlaynetworks/dcos`. */
  command: string;
  /** What came back: the program's or the API server's own words, or the error. */
  output: unknown;
};

/** @param otherwise the command, where what was thrown does not tell it */
export const faultOf = (object: string, thrown: unknown, otherwise: string): Fault => ({
  object,
  command: commandOf(thrown) ?? otherwise,
  output: messageOf(thrown),
});

/** Work that failed in several things at once. */
export class Faults extends WorkError {
  readonly all: readonly Fault[];

  constructor(message: string, all: readonly Fault[]) {
    super(all[0]?.command ?? '', message);
    this.all = all;
  }
}

/** The same of each fault, where what was thrown has several. */
export const faultsOf = (object: string, thrown: unknown, otherwise: string): readonly Fault[] =>
  thrown instanceof Faults ? thrown.all : [faultOf(object, thrown, otherwise)];

/** One line a call on stderr. Fields are shown as `key=value`; an Error shows as its message. */
export interface Log {
  debug: (message: string, fields?: Fields) => void;
  info: (message: string, fields?: Fields) => void;
  warn: (message: string, fault: Fault) => void;
  error: (message: string, fault: Fault) => void;
}

export const levels = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof levels)[number];
export const formats = ['text', 'json'] as const;
export type Format = (typeof formats)[number];

/** A log whose level can change while the process runs. */
export interface LeveledLog extends Log {
  level: Level;
  /** Prints a line that is no fault, whatever the level. */
  always: (message: string, fields?: Fields) => void;
}

/** Swallows everything: for callers that pass no log. */
export const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const shown = (value: unknown): string => {
  const text =
    value instanceof Error ? value.message : typeof value === 'string' ? value : JSON.stringify(value);
  return text === '' || /[\s"=]/.test(text) ? JSON.stringify(text) : text;
};

/** `2026-01-01T00:00:00.000Z info component message key=value …`; a line break inside it stays escaped. */
export const line = (
  time: string,
  level: string,
  component: string,
  message: string,
  fields: Fields,
): string =>
  [
    time,
    level,
    component,
    message.replaceAll('\n', '\\n'),
    ...Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${key}=${shown(value)}`),
  ].join(' ');

/** One line a call, with nothing that a terminal would obey: the `level` and everything above it. @param options.format default: LOG_FORMAT, else text */
export const createLog = (options: { level: Level; component: string; format?: Format }): LeveledLog => {
  const { component, format = process.env.LOG_FORMAT === 'json' ? 'json' : 'text' } = options;
  const json = (time: string, level: Level, message: string, fields: Fields) =>
    JSON.stringify({ time, level, component, message, ...fields }, (_, value: unknown) =>
      value instanceof Error ? value.message : value,
    );
  const text = (time: string, level: Level, message: string, fields: Fields) =>
    line(time, level, component, message, fields);
  const render = format === 'json' ? json : text;
  const write = (level: Level, message: string, fields: Fields = {}) => {
    process.stderr.write(`${harmless(render(new Date().toISOString(), level, message, fields))}\n`);
  };
  const at =
    (level: Level) =>
    (message: string, fields: Fields = {}) => {
      if (levels.indexOf(level) <= levels.indexOf(log.level)) write(level, message, fields);
    };
  const log = {
    level: options.level,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    always: (message: string, fields?: Fields) => {
      write('info', message, fields);
    },
  };
  return log;
};

/**
 * With each SIGUSR1 a log changes between its own level and `debug`, and says so. Without a listener Node would open its
 * debugger at this signal.
 */
export const followSignal = (log: LeveledLog): void => {
  const own = log.level;
  process.on('SIGUSR1', () => {
    log.level = log.level === 'debug' && own !== 'debug' ? own : 'debug';
    log.always('log level changed by SIGUSR1', { level: log.level });
  });
};

/** The format that a process was started with: its flag is not parsed yet, or is wrong. */
function formatAsked(argv: readonly string[]): string | undefined {
  const flag = '--log-format';
  const at = argv.indexOf(flag);
  const given =
    at >= 0 ? argv[at + 1] : argv.find((word) => word.startsWith(`${flag}=`))?.slice(flag.length + 1);
  return given ?? process.env.LOG_FORMAT;
}

/** Says in one line on stderr why a process ends. */
export function sayFatal(component: string, error: unknown, argv: readonly string[] = process.argv): void {
  if (formatAsked(argv) === 'json')
    createLog({ level: 'error', component, format: 'json' }).error('ends', faultOf(component, error, 'run'));
  else process.stderr.write(`${component}: ${messageOf(error)}\n`);
}
