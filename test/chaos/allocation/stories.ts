import { Arena } from './arena.ts';
import { Dice } from './dice.ts';
import type { Violation } from './judge.ts';
import type { Story } from './scene.ts';
import { backAndForth } from './stories/backandforth.ts';
import { halfBlind } from './stories/halfblind.ts';
import { heldBack } from './stories/heldback.ts';
import { lostPage } from './stories/lostpage.ts';
import { oldLedger } from './stories/oldledger.ts';
import { sleeper } from './stories/sleeper.ts';
import { lateAllocation, latePage } from './stories/straggler.ts';

export const stories: readonly Story[] = [
  lateAllocation,
  latePage,
  oldLedger,
  halfBlind,
  backAndForth,
  heldBack,
  lostPage,
  sleeper,
];

/** Plays a story with real operators. Returns the rules that they broke. */
export async function playStory(
  story: Story,
  options: { bundle: string; logs?: string },
): Promise<Violation[]> {
  const arena = await Arena.start({ ...options, operators: 2, dice: new Dice('story'), lease: story.lease });
  try {
    await story.tell(arena);
    return arena.judge.violations;
  } finally {
    await arena.end();
  }
}
