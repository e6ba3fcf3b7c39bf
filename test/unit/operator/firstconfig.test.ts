import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readFirstConfig } from '../../../src/operator/firstconfig.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'ovt-first-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});

function read(text: string) {
  const file = path.join(dir, 'overlayconfig.yaml');
  writeFileSync(file, text);
  return readFirstConfig(file);
}

const head = 'apiVersion: overlaynet.dev/v1alpha1\nkind: OverlayConfig\nmetadata: { name: default }\n';

test('the spec of the OverlayConfig in the file counts, and no spec means the defaults', () => {
  expect(read(`${head}spec: { vni: 2000, nodeSubnets: [10.0.0.0/8] }`)).toEqual({
    vni: 2000,
    nodeSubnets: ['10.0.0.0/8'],
  });
  expect(read(head)).toEqual({});
});

test.each([
  ['an empty file', ''],
  ['another kind', head.replace('OverlayConfig', 'OverlayNetwork')],
  ['another name', head.replace('default', 'mine')],
])('%s is refused: other values must not be pinned in its place', (_what, text) => {
  expect(() => read(text)).toThrow('is not the OverlayConfig "default" of overlaynet.dev/v1alpha1');
});

test('so is a file that is not there, or no YAML', () => {
  expect(() => readFirstConfig(path.join(dir, 'absent'))).toThrow('ENOENT');
  expect(() => read('spec: {')).toThrow();
});
