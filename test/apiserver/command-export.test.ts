import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { CommandBed } from '../support/commandbed.ts';

let bed: CommandBed;
beforeAll(async () => {
  bed = await CommandBed.start();
}, 180_000);
afterAll(async () => {
  await bed.stop();
});

test('what export prints of a real cluster, import reads back', async () => {
  const { code, stdout, stderr } = await bed.run('export');
  expect([code, stderr]).toEqual([1, expect.stringContaining('there is no spec.mtu')]);
  expect(stdout).toContain('vtep_mac_oui: "70:B3:D5:00:00:00"');
  expect(stdout).toContain('- name: "dcos"');
  const file = path.join(bed.temp.path, 'config.yaml');
  writeFileSync(file, stdout);
  const again = await bed.run(`import --config ${file} -o json`);
  const { items } = JSON.parse(again.stdout) as { items: { kind: string; metadata: { name: string } }[] };
  expect([again.code, items.map(({ kind, metadata }) => `${kind} ${metadata.name}`)]).toEqual([
    0,
    ['OverlayConfig default', 'OverlayNetwork dcos'],
  ]);
}, 60_000);
