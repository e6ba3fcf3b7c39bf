type Fields = Record<string, unknown>;

/** One line a call on stderr. Fields are shown as `key=value`; an Error shows as its message. */
export interface Log {
  debug: (message: string, fields?: Fields) => void;
  info: (message: string, fields?: Fields) => void;
  warn: (message: string, fields?: Fields) => void;
  error: (message: string, fields?: Fields) => void;
}

export const levels = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof levels)[number];

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

/** JSON lines where LOG_FORMAT=json, else plain text; the `level` and everything above it. */
export const createLog = (options: { level: Level; component: string }): Log => {
  const { component } = options;
  const json = (time: string, level: Level, message: string, fields: Fields) =>
    JSON.stringify({ time, level, component, message, ...fields }, (_, value: unknown) =>
      value instanceof Error ? value.message : value,
    );
  const text = (time: string, level: Level, message: string, fields: Fields) =>
    line(time, level, component, message, fields);
  const render = process.env.LOG_FORMAT === 'json' ? json : text;
  const shownLevels = levels.slice(0, levels.indexOf(options.level) + 1);
  const at = (level: Level) =>
    shownLevels.includes(level)
      ? (message: string, fields: Fields = {}) => {
          process.stderr.write(`${render(new Date().toISOString(), level, message, fields)}\n`);
        }
      : silent[level];
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
};
