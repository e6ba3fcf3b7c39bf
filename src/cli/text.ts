import { controls, harmless } from '../api/text.ts';

export { age, harmless } from '../api/text.ts';

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
