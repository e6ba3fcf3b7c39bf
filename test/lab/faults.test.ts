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

/** A short run of `npm run chaos -- agent`; docs/faults.md has the figures of long ones. */

let rig: Rig;
beforeAll(async () => {
  rig = { lab, parts: partsOf(lab), client: await administrator(lab) };
});
afterAll(() => rig.client.close());

function expectOK(measured: readonly Measured[]): void {
  process.stdout.write(`${renderMeasured(measured)}\n`);
  expect(measured.filter(({ ok }) => !ok)).toEqual([]);
}

test('stopping, killing or updating an agent loses no packet and changes nothing in the kernel', async () => {
  expectOK(await restarts(rig, 1));
});

test('without the API server no packet is lost, and containers start', async () => {
  expectOK(await outage(rig, 15_000));
});

test('peers that left while an agent was down are removed soon after it starts', async () => {
  expectOK(await departed(rig, 12));
});

test('after a reboot the data path is complete before the first container is admitted', async () => {
  expectOK(await reboot(rig));
});

// test/netns/hands.test.ts tries every kind of object; `npm run chaos -- agent drift` does so with a real agent
test('an agent repairs a tunnel that was deleted or changed by hand, and changes nothing of others', async () => {
  expectOK(await drift(rig, 2));
});

test('an object of an unknown kind is an error', () => {
  expect(() => handsFor(['links: vtep1024: <UP> mtu 1450', 'qdiscs: fq dev vtep1024'])).toThrow(
    'no hand knows what to do to these objects: qdiscs: fq dev vtep1024',
  );
});
