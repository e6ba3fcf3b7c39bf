/** What a word of a row's state means for its reader. */
export type Tone = 'good' | 'bad' | 'odd';

/** By the word. A word that is missing here is neither. */
export const tones: Readonly<Record<string, Tone>> = {
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
  Releasing: 'odd',
  Cooling: 'odd',
  Warning: 'odd',
};
