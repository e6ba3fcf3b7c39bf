import { controls, harmless } from '../api/text.ts';
import { tones, type Tone } from '../rows/tone.ts';

export { age, harmless } from '../api/text.ts';

/** JSON that is safe to show on a terminal: control characters are escaped, which JSON reads as the same text. */
export const harmlessJSON = (value: unknown): string =>
  JSON.stringify(value, undefined, 2).replace(controls, (one) =>
    one === '\n' ? one : `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** The value with every text in it made safe for a terminal. */
export function harmlessIn(value: unknown): unknown {
  if (typeof value === 'string') return harmless(value);
  if (Array.isArray(value)) return value.map(harmlessIn);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [harmless(key), harmlessIn(one)]));
}

const codes: Record<Tone, string> = { good: '32', bad: '31', odd: '33' };

export const coloured = (text: string, tone: Tone | undefined): string =>
  tone === undefined ? text : `\u001b[${codes[tone]}m${text}\u001b[0m`;

/** The shared words, and Gone, which has no tone on the page. */
const own: Record<string, Tone> = { ...tones, Gone: 'odd' };
export const toneOf = (text: string): Tone | undefined => own[text];
