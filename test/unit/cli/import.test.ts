import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { CommandLine } from '../../support/commandline.ts';
import { TempDir } from '../../support/kubeprocess.ts';

let command: CommandLine;
const temp = new TempDir('ovt-import-');
beforeAll(async () => {
  command = await CommandLine.build();
});
afterAll(async () => {
  await command.remove();
  await temp.remove();
});

const file = (name: string) => path.join(import.meta.dirname, '../../reference', name);
const run = (...args: string[]) => command.run(['import', ...args], { KUBECONFIG: '/nonexistent' });

test.each([
  ['default.config.yaml', ['default', 'dcos', 'dcos6']],
  ['two-networks.config.yaml', ['default', 'dcos', 'dcos-1']],
  ['json-in-a-string.yaml', ['default', 'dcos']],
  ['jumbo.yaml', ['default', 'dcos', 'dcos-1']],
  ['ten-networks.yaml', ['default', ...Array.from({ length: 10 }, (_, at) => `dcos-${at}`)]],
])(
  'the command imports %s, without asking any cluster',
  async (name, names) => {
    const { code, stdout } = await run('--config', file(name));
    const objects = parseAllDocuments(stdout).map((one) => one.toJS() as { metadata: { name: string } });
    expect([code, objects.map(({ metadata }) => metadata.name)]).toEqual([0, names]);
  },
  30_000,
);

test('a refusal names its line, and nothing is printed', async () => {
  const bad = path.join(temp.path, 'bad.yaml');
  writeFileSync(
    bad,
    'dcos_overlay_network:\n  overlays:\n    - name: "\\e[31mred"\n      subnet: 10.0.0.0\n',
  );
  const { code, stdout, stderr } = await run('--config', bad);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('bad.yaml:4: refused: overlays[0].subnet: "10.0.0.0" has no length');
  expect(stderr).not.toContain('\u001b');
  expect(stderr).not.toMatch(/\n {4}at /);
});

test('a missing file causes one line with what to do', async () => {
  const { code, stderr } = await run('--config', path.join(temp.path, 'none.yaml'));
  expect(code).toBe(2);
  expect(stderr).toContain('give --config the config.yaml that DC/OS was installed with');
});
