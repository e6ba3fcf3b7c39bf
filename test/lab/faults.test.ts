import { administrator } from '../../hack/testbed/controlplane.ts';
import { renderMeasured } from '../chaos/agent.ts';
import { departed } from '../chaos/agent/departed.ts';
import { drift } from '../chaos/agent/drift.ts';
import { handsFor } from '../chaos/agent/hands.ts';
import { outage } from '../chaos/agent/outage.ts';
import { reboot } from '../chaos/agent/reboot.ts';
import { restarts } from '../chaos/agent/restarts.ts';
import { partsOf, type Measured, type Rig } from '../chaos/agent/rig.ts';
import { lab } from '../support/lab.ts';

/** A short round of `npm run chaos -- agent`, whose figures are in docs/faults.md. */

let rig: Rig;
beforeAll(async () => {
  rig = { lab, parts: partsOf(lab), client: await administrator(lab) };
});
afterAll(() => rig.client.close());

function expectOK(measured: readonly Measured[]): void {
  process.stdout.write(`${renderMeasured(measured)}\n`);
  expect(measured.filter(({ ok }) => !ok)).toEqual([]);
}

test('an agent that is ended, killed or updated costs no packet and changes nothing in the kernel', async () => {
  expectOK(await restarts(rig, 1));
});

test('an API server that is away costs no packet, and containers start meanwhile', async () => {
  expectOK(await outage(rig, 15_000));
});

test('peers that left while an agent was down are gone soon after its start', async () => {
  expectOK(await departed(rig, 12));
});

test('what a reboot takes is there again before the first container is let in', async () => {
  expectOK(await reboot(rig));
});

// test/netns/hands.test.ts tries every kind; the whole of it with a real agent is `npm run chaos -- agent drift`
test('a tunnel that a hand deletes or alters is repaired, and nothing of others changes', async () => {
  expectOK(await drift(rig, 2));
});

test('an object of a kind that no hand knows is an error', () => {
  expect(() => handsFor(['links: vtep1024: <UP> mtu 1450', 'qdiscs: fq dev vtep1024'])).toThrow(
    'no hand knows what to do to these objects: qdiscs: fq dev vtep1024',
  );
});
