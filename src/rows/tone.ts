/** The meaning of a state for its reader. */
export type Tone = 'good' | 'bad' | 'odd';

/** Tones by word; other words are neutral. */
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
  Silent: 'odd',
  Waiting: 'odd',
  Configuring: 'odd',
  Releasing: 'odd',
  Cooling: 'odd',
  Warning: 'odd',
};
