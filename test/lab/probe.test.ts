import { administrator } from '../../hack/testbed/controlplane.ts';
import { renderMeasured } from '../chaos/agent.ts';
import { commanded, probes } from '../chaos/agent/probes.ts';
import { partsOf, type Rig } from '../chaos/agent/rig.ts';
import { lab } from '../support/lab.ts';

/** A short round of `npm run chaos -- agent probes`, whose figures are in docs/faults.md. */

let rig: Rig;
beforeAll(async () => {
  rig = { lab, parts: partsOf(lab), client: await administrator(lab) };
});
afterAll(() => rig.client.close());

test('agents that probe each other give no verdict while all is well, and name what blocks a port, a direction or large packets', async () => {
  // one group of causes takes three minutes; netns/probe.test.ts has all of them
  const measured = await probes(rig, 10_000, 1);
  process.stdout.write(`${renderMeasured(measured)}\n`);
  expect(measured.filter(({ ok }) => !ok)).toEqual([]);
}, 1_800_000);

test('the command names what a kernel has wrong, what spoils checksums, and what makes the tunnel slow', async () => {
  const measured = await commanded(rig);
  process.stdout.write(`${renderMeasured(measured)}\n`);
  expect(measured.filter(({ ok }) => !ok)).toEqual([]);
}, 600_000);
