import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { referencePages } from '../../../hack/reference/pages.ts';
import { kinds, pathOf } from '../../../src/rows/row.ts';
import { rightOf } from '../../../src/serve/gate.ts';
import type { Manifest } from '../../support/grants.ts';
import { openapi } from '../../support/schema.ts';

const file = (name: string) => readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8');

test('docs/reference is what `npm run reference` makes', async () => {
  for (const [name, text] of await referencePages()) {
    expect({ name, text: file(`docs/reference/${name}`) }).toEqual({ name, text });
  }
});

test('every path of the API is described, with the role in deploy/ that may read it', () => {
  const roles = ['viewer', 'prober']
    .flatMap((name) => parseAllDocuments(file(`deploy/system/${name}-rights.yaml`)))
    .map((one) => one.toJS() as Manifest & { rules?: { nonResourceURLs?: string[] }[] })
    .filter(({ kind }) => kind === 'ClusterRole');
  const may = (role: string, path: string) =>
    roles
      .find(({ metadata }) => metadata.name === role)
      ?.rules?.some(({ nonResourceURLs }) => nonResourceURLs?.includes(rightOf(path))) ?? false;
  for (const path of kinds.map(pathOf)) expect(Object.keys(openapi.paths)).toContain(path);
  for (const [path, { get, post }] of Object.entries(openapi.paths)) {
    const { 'x-role': role } = get ?? post;
    expect({ path, role, may: may(role, path) }).toMatchObject({ may: true });
    expect({ path, inspector: may('overlaynet-inspector', path) }).toEqual({
      path,
      inspector: role !== 'overlaynet-prober',
    });
    expect({ path, viewer: may('overlaynet-viewer', path) }).toEqual({
      path,
      viewer: role === 'overlaynet-viewer',
    });
  }
});
