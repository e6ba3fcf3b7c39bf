import { parse, parseAllDocuments } from 'yaml';
import { filesBelow, textOf } from '../../support/source.ts';

interface Operation {
  op: string;
  path: string;
}

interface Kustomization {
  patches?: { target?: { kind: string; name: string }; patch: string }[];
}

/** Kustomizations that pages show. */
const shown = filesBelow('docs', '.md').flatMap((page) =>
  [...textOf(page).matchAll(/^ *```yaml\n([^`]*^ *patches:[^`]*)```/gm)].map(
    ([, text = '']) => [page, parse(text) as Kustomization] as const,
  ),
);

const manifests = filesBelow('deploy/system', '.yaml').flatMap((file) =>
  parseAllDocuments(textOf(file)).map(
    (document) => document.toJS() as { kind: string; metadata: { name: string } },
  ),
);

/** What a JSON pointer leads to; undefined: nothing is there. */
const at = (object: unknown, path: string): unknown =>
  path
    .split('/')
    .slice(1)
    .reduce((part: unknown, key) => (part as Record<string, unknown> | undefined)?.[key], object);

test('a patch that a page shows replaces nothing that the manifests have', () => {
  const patches = shown.flatMap(([page, { patches: all = [] }]) =>
    all.flatMap(({ target, patch }) => (target === undefined ? [] : [{ page, target, patch }])),
  );
  expect(patches.length).toBeGreaterThan(0);
  for (const { page, target, patch } of patches) {
    const object = manifests.find(
      ({ kind, metadata }) => kind === target.kind && metadata.name === target.name,
    );
    for (const { op, path } of parse(patch) as Operation[]) {
      const list = path.endsWith('/-') ? at(object, path.slice(0, -2)) : undefined;
      const there = path.endsWith('/-') ? !Array.isArray(list) : at(object, path) !== undefined;
      expect({ page, op, path, replaces: there }).toEqual({ page, op: 'add', path, replaces: false });
    }
  }
});
