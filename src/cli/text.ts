/** Controls, and characters that turn the direction of a line: a terminal would obey them. */
// eslint-disable-next-line no-control-regex
const controls = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The text with what a terminal would obey written out: `\u001b`. */
export const harmless = (text: string): string =>
  text.replace(controls, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** JSON that a terminal can show: what it would obey is written out, which JSON reads as the same. */
export const harmlessJSON = (value: unknown): string =>
  JSON.stringify(value, undefined, 2).replace(controls, (one) =>
    one === '\n' ? one : `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** Every text in the value made harmless. */
export function harmlessIn(value: unknown): unknown {
  if (typeof value === 'string') return harmless(value);
  if (Array.isArray(value)) return value.map(harmlessIn);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [harmless(key), harmlessIn(one)]));
}

const codes = { good: '32', bad: '31', odd: '33' };
export type Tone = keyof typeof codes;

export const coloured = (text: string, tone: Tone | undefined): string =>
  tone === undefined ? text : `\u001b[${codes[tone]}m${text}\u001b[0m`;

/** Words of states, as they feel. */
const tones: Record<string, Tone> = {
  Ready: 'good',
  OK: 'good',
  Held: 'good',
  Present: 'good',
  Failed: 'bad',
  Refused: 'bad',
  NotReady: 'bad',
  Missing: 'bad',
  Quarantined: 'bad',
  Error: 'bad',
  Degraded: 'odd',
  Waiting: 'odd',
  Configuring: 'odd',
  Gone: 'odd',
  Releasing: 'odd',
  Cooling: 'odd',
  Warning: 'odd',
};
export const toneOf = (text: string): Tone | undefined => tones[text];

/** How long ago, as kubectl says it: `45s`, `3m20s`, `5h`, `12d`, `2y30d`; `<unknown>` where it is not known. */
export function age(since: string, now: number): string {
  const seconds = Math.floor((now - Date.parse(since)) / 1_000);
  if (Number.isNaN(seconds)) return '<unknown>';
  if (seconds < -1) return '<invalid>';
  const parts: [
    limit: number,
    unit: number,
    name: string,
    inner: number,
    innerName: string,
    withInner: number,
  ][] = [
    [120, 1, 's', 0, '', 0],
    [10_800, 60, 'm', 1, 's', 600],
    [172_800, 3_600, 'h', 60, 'm', 28_800],
    [63_072_000, 86_400, 'd', 3_600, 'h', 691_200],
    [Infinity, 31_536_000, 'y', 86_400, 'd', 252_288_000],
  ];
  const shown = Math.max(0, seconds);
  for (const [limit, unit, name, inner, innerName, withInner] of parts) {
    if (shown >= limit) continue;
    const rest = inner === 0 ? 0 : Math.floor((shown % unit) / inner);
    return `${Math.floor(shown / unit)}${name}${rest > 0 && shown < withInner ? `${rest}${innerName}` : ''}`;
  }
  return '<unknown>';
}
