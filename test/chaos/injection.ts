import type { Figure } from './figure.ts';
import { injections, tunnelled } from './injections.ts';
import { tunnelPayload, type Injection } from './sending.ts';
import { count, markOf, sendUnprivileged } from './traffic.ts';
import { port, type Wire } from './wire.ts';

/** Number of frames that are sent without the rules, to prove that they would arrive. */
const control = 10;

/**
 * Sends forged tunnel packets in every known way and counts those that reach the victim. Then sends permitted packets,
 * and finally a few forged ones without the rules.
 */
export async function injection(wire: Wire, frames: number): Promise<{ forged: Figure[]; honest: Figure[] }> {
  const delivered = await deliver(wire, injections, frames);
  const honest = await deliver(wire, [tunnelled, ...onThatPort], frames);
  await wire.disarm();
  const without = await deliver(wire, injections, control);
  await wire.reconcile();
  return {
    forged: injections.map(({ what, kernel = false }, index) => {
      const [passed = NaN, unguarded = 0] = [delivered[index], without[index]];
      return {
        what,
        sent: frames,
        delivered: passed,
        without: unguarded,
        ok: passed === 0 && (kernel || unguarded > 0),
      };
    }),
    honest: [tunnelled, ...onThatPort].map(({ what }, index) => {
      const passed = honest[index] ?? NaN;
      return { what, sent: frames, delivered: passed, ok: passed === frames };
    }),
  };
}

/** Pods may use the tunnel's port among themselves like any other port. */
export const onThatPort: Injection[] = ([0, 1] as const).map((node) => ({
  what: `a pod to a pod of ${node === 1 ? 'the same' : 'another'} node, on the tunnel's port`,
  send: async (wire, payload, times) => {
    const { netns } = wire.pod(node, 0);
    const to = wire.outer === 4 ? wire.victim.ip : wire.victim.ip6;
    // few packets may wait for a neighbour's answer
    await netns.sh(`ping -n -q -c 1 -w 5 ${to}`);
    await sendUnprivileged(netns, {
      to: to.includes(':') ? `[${to}]:${port}` : `${to}:${port}`,
      payload,
      count: times,
    });
  },
}));

async function deliver(wire: Wire, ways: Injection[], times: number): Promise<number[]> {
  const stop = await count(
    wire.victim.netns,
    'eth0',
    ways.map((_, index) => markOf(index)),
  );
  for (const [index, { send }] of ways.entries()) await send(wire, tunnelPayload(wire, markOf(index)), times);
  return stop();
}
