import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeArchive, writeLayer } from '../../../hack/offline/archive.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-archive-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});
const at = (name: string) => join(dir, name);
const tar = (...args: string[]) => execFileSync('tar', args, { encoding: 'utf8' });
const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

test('a layer has its files with their modes, owned by root, and is the same whenever it is written', async () => {
  writeFileSync(at('program'), 'text');
  chmodSync(at('program'), 0o755);
  const entries = {
    '/bin/program': at('program'),
    '/bin/other': { link: 'program' },
    '/tmp': { directory: 0o1777 },
  };
  await writeLayer(at('one'), entries);
  utimesSync(at('program'), 1, 1);
  await writeLayer(at('two'), entries);
  expect(digest(at('one'))).toBe(digest(at('two')));
  const listed = tar('--numeric-owner', '-tvf', at('one'));
  expect(listed).toMatch(/^-rwxr-xr-x 0\/0 .* \.\/bin\/program$/m);
  expect(listed).toMatch(/^lrwxrwxrwx 0\/0 .* \.\/bin\/other -> program$/m);
  expect(listed).toMatch(/^drwxrwxrwt 0\/0 .* \.\/tmp\/$/m);
});

test('an archive names each image with its layers by their digests; a shared layer is in it once', async () => {
  for (const name of ['lower', 'upper']) {
    writeFileSync(at('file'), name);
    await writeLayer(at(name), { '/file': at('file') });
  }
  await writeArchive(at('archive'), [
    { tag: 'a:1', layers: [at('lower')], config: { Entrypoint: ['/a'] } },
    { tag: 'b:1', layers: [at('lower'), at('upper')], config: { Entrypoint: ['/b'], User: '65532' } },
  ]);
  const [lower, upper] = [digest(at('lower')), digest(at('upper'))];
  const manifest = JSON.parse(tar('-xOf', at('archive'), './manifest.json')) as Record<string, string>[];
  expect(manifest).toMatchObject([
    { RepoTags: ['a:1'], Layers: [`${lower}.tar`] },
    { RepoTags: ['b:1'], Layers: [`${lower}.tar`, `${upper}.tar`] },
  ]);
  const config: unknown = JSON.parse(tar('-xOf', at('archive'), `./${manifest[1]!.Config!}`));
  expect(config).toMatchObject({
    config: { Entrypoint: ['/b'], User: '65532' },
    rootfs: { diff_ids: [`sha256:${lower}`, `sha256:${upper}`] },
  });
  expect(tar('-tf', at('archive')).match(/\.tar$/gm)).toHaveLength(2);
});
