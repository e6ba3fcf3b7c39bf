import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { plugins } from '../../../hack/build.ts';
import { contents as images } from '../../../hack/offline/images.ts';
import { offeredRoles, powersOf, rulesOf, subjectsOf, type Manifest } from '../../support/grants.ts';

const file = (name: string) => fileURLToPath(new URL(`../../../${name}`, import.meta.url));

interface Kustomization {
  resources: string[];
  patches?: { target: { kind: string; name: string }; patch: string }[];
}

/** Renders a folder like `kubectl kustomize`, for patches that add to lists. */
function rendered(folder: string): Manifest[] {
  const { resources, patches = [] } = parse(
    readFileSync(file(`${folder}/kustomization.yaml`), 'utf8'),
  ) as Kustomization;
  const manifests = resources.flatMap((resource) => {
    const name = path.join(folder, resource);
    if (!name.endsWith('.yaml')) return rendered(name);
    const documents = parseAllDocuments(readFileSync(file(name), 'utf8'));
    return documents.map((document) => document.toJS() as Manifest);
  });
  for (const { target, patch } of patches) {
    const patched = manifests.find(
      ({ kind, metadata }) => kind === target.kind && metadata.name === target.name,
    );
    for (const { op, path, value } of parse(patch) as { op: string; path: string; value: unknown }[]) {
      const steps = path.split('/').slice(1);
      if (op !== 'add' || steps.pop() !== '-')
        throw new Error(`${folder}: a patch that is not understood: ${path}`);
      const list = steps.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], patched);
      (list as unknown[]).push(value);
    }
  }
  return manifests;
}

const pods = (manifests: Manifest[]) => manifests.filter(({ spec }) => spec?.template !== undefined);

/** The first column of each table in docs/rights.md, by heading. */
const documented = new Map(
  readFileSync(file('docs/rights.md'), 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const rows = [...section.matchAll(/^\| `([^`]+)` +\| +(.*\S) +\|$/gm)];
      return [
        section.split('\n', 1)[0]!,
        new Map(rows.map(([, what = '', why = '']) => [what, why])),
      ] as const;
    }),
);

/** Contents of the images, without digests and versions. */
function contents(): string[] {
  const files = ['operator', 'agent'].map((name) => readFileSync(file(`deploy/${name}.Dockerfile`), 'utf8'));
  return files.flatMap((text) => [
    /^FROM ([^@\s]+)/m.exec(text)![1]!,
    ...(/--no-install-recommends (.*) \\$/m.exec(text)?.[1]?.replace(/=\S+/g, '').split(' ') ?? []),
    ...(text.includes('COPY plugins/ ') ? plugins.map((name) => `plugin ${name}`) : []),
  ]);
}

/** The rights that deploy/ grants, by the same headings. */
function given(): Map<string, string[]> {
  const all = rendered('deploy');
  const grants = new Map<string, string[]>();
  for (const { metadata, spec } of pods(all)) {
    grants.set(metadata.name, [...powersOf(spec!.template!.spec), ...rulesOf(metadata.name, all)]);
  }
  // subjects without a pod: people and their tools
  for (const who of subjectsOf(all)) if (!grants.has(who)) grants.set(who, rulesOf(who, all));
  for (const [role, rules] of offeredRoles(all)) grants.set(role, rules);
  grants.set('images', contents());
  const folders = readdirSync(file('deploy')).filter((name) =>
    existsSync(file(`deploy/${name}/kustomization.yaml`)),
  );
  for (const folder of folders) {
    for (const { metadata, spec } of pods(rendered(`deploy/${folder}`))) {
      const more = powersOf(spec!.template!.spec).filter(
        (power) => !grants.get(metadata.name)?.includes(power),
      );
      if (more.length > 0) grants.set(`deploy/${folder}`, more);
    }
    const own = rendered(`deploy/${folder}`);
    for (const who of subjectsOf(own)) {
      const more = rulesOf(who, own).filter((rule) => !grants.get(who)?.includes(rule));
      if (more.length > 0) grants.set(`deploy/${folder}`, more);
    }
  }
  return grants;
}

test('docs/rights.md has every right, capability, directory of the host and program that deploy/ gives, and no other', () => {
  const grants = given();
  expect([...documented.keys()].sort()).toEqual([...grants.keys()].sort());
  for (const [who, powers] of grants) {
    expect({ who, has: [...documented.get(who)!.keys()].sort() }).toEqual({
      who,
      has: [...new Set(powers)].sort(),
    });
  }
});

/** The contents that a Dockerfile puts into its image, in the form of hack/offline/images.ts. */
function madeBy(dockerfile: string) {
  const lines = dockerfile.split('\n');
  const said = (instruction: string) =>
    lines
      .filter((line) => line.startsWith(`${instruction} `))
      .map((line) => line.slice(instruction.length + 1));
  const files = said('COPY').flatMap((words) => {
    const [from = '', to = ''] = words.split(' ');
    return from === 'plugins/' ? plugins.map((name) => [to + name, from + name]) : [[to, from]];
  });
  const [user] = said('USER');
  return {
    packages: (/--no-install-recommends (.*) \\$/m.exec(dockerfile)?.[1] ?? '')
      .split(' ')
      .filter((word) => word !== '')
      .map((word) => word.replace(/=.*/, '')),
    files: Object.fromEntries(files) as Record<string, string>,
    config: {
      Entrypoint: JSON.parse(said('ENTRYPOINT')[0]!) as string[],
      ...(user === undefined ? {} : { User: user }),
      Env: said('ENV').flatMap((words) => words.split(' ')),
    },
  };
}

test.each(['operator', 'agent'] as const)(
  'the image of the %s that hack/ assembles without a registry has what its Dockerfile says',
  (name) => {
    const dockerfile = readFileSync(file(`deploy/${name}.Dockerfile`), 'utf8');
    expect(images[name]).toEqual(madeBy(dockerfile));
    expect(images[name].config.Env).toContain('MALLOC_ARENA_MAX=1');
  },
);

test('each with a reason', () => {
  for (const [who, rows] of documented) {
    for (const [what, why] of rows) {
      expect({ who, what, words: why.split(' ').length > 3 }).toEqual({ who, what, words: true });
    }
  }
});

test('a grant that is added is missed', () => {
  const pod = {
    hostPID: true,
    containers: [{ name: 'a', securityContext: { privileged: true }, volumeMounts: [{ name: 'root' }] }],
    volumes: [{ name: 'root', hostPath: { path: '/' } }],
  };
  expect(powersOf(pod)).toEqual([
    'host PIDs',
    'no seccomp profile',
    'privileged',
    'root file system that can be written',
    "host's /",
  ]);
  const offered: Manifest = {
    kind: 'ClusterRole',
    metadata: { name: 'offered' },
    rules: [{ nonResourceURLs: ['/x'], verbs: ['post'] }],
  };
  const role: Manifest = {
    kind: 'ClusterRole',
    metadata: { name: 'r' },
    rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['s'], verbs: ['get'] }],
  };
  const binding: Manifest = {
    kind: 'RoleBinding',
    metadata: { name: 'b', namespace: 'n' },
    roleRef: { kind: 'ClusterRole', name: 'r' },
    subjects: [{ name: 'a' }],
  };
  expect(rulesOf('a', [role, binding])).toEqual(['get secrets named s in n']);
  expect([...subjectsOf([role, binding, offered])]).toEqual(['a']);
  expect([...offeredRoles([role, binding, offered])]).toEqual([['offered', ['post /x']]]);
});
