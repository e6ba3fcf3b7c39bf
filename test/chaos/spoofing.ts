import type { Figure } from './figure.ts';
import type { PodBed } from './pods.ts';
import { bridge } from './pods.ts';
import { honest, spoofs, type Spoof } from './spoofs.ts';
import { count, markOf, sendFrames } from './traffic.ts';

/** Number of frames of each kind that are sent without the rules, to prove that they would arrive. */
const control = 10;

/**
 * Sends each kind of spoofed frame from a pod and counts those that reach the others on its bridge, including the node.
 * Then sends honest frames, and finally a few spoofed ones without the rules.
 */
export async function spoofing(
  bed: PodBed,
  frames: number,
): Promise<{ spoofed: Figure[]; honest: Figure[] }> {
  const parties = await bed.parties();
  const kinds = { spoofed: spoofs(parties), honest: honest(parties) };
  const spoofed = await deliver(bed, kinds.spoofed, frames, 'everybody');
  const own = await deliver(bed, kinds.honest, frames, 'victim');
  await bed.node.sh('nft delete table bridge overlaynet');
  const without = await deliver(bed, kinds.spoofed, control, 'everybody');
  await bed.reconcile();
  return {
    spoofed: kinds.spoofed.map(({ what }, index) => {
      const delivered = spoofed[index] ?? NaN;
      const passed = without[index] ?? 0;
      return { what, sent: frames, delivered, without: passed, ok: delivered === 0 && passed > 0 };
    }),
    honest: kinds.honest.map(({ what }, index) => {
      const delivered = own[index] ?? NaN;
      return { what, sent: frames, delivered, ok: delivered === frames };
    }),
  };
}

/** Sends all kinds; returns how many frames of each arrived. */
async function deliver(
  bed: PodBed,
  kinds: Spoof[],
  frames: number,
  at: 'victim' | 'everybody',
): Promise<number[]> {
  const [self, victim, ...others] = bed.pods;
  if (self === undefined || victim === undefined) throw new Error('it takes two pods');
  const marks = kinds.map((_, index) => markOf(index));
  const places = [
    { netns: victim.netns, link: 'eth0' },
    ...(at === 'victim'
      ? []
      : [...others.map(({ netns }) => ({ netns, link: 'eth0' })), { netns: bed.node, link: bridge }]),
  ];
  const counters = await Promise.all(places.map(({ netns, link }) => count(netns, link, marks)));
  for (const [index, { frames: make }] of kinds.entries()) {
    const made = make(markOf(index));
    await sendFrames(self.netns, 'eth0', made, frames * made.length);
  }
  const counts = await Promise.all(counters.map((stop) => stop()));
  return kinds.map((_, index) => counts.reduce((sum, one) => sum + (one[index] ?? 0), 0));
}
