import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Files in these directories build or pull images. */
const files = ['deploy', 'hack', 'test/support', 'test/bench', 'test/chaos'].flatMap((dir) =>
  readdirSync(path.join(root, dir), { recursive: true, encoding: 'utf8' }).map((name) =>
    path.join(dir, name),
  ),
);
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

const digest = /@sha256:[0-9a-f]{64}$/;

/** What of a Dockerfile is another thing tomorrow: images without a digest, packages without a version. */
function unpinned(dockerfile: string): string[] {
  const lines = dockerfile.replace(/\\\n/g, ' ').split('\n');
  const stages = lines.flatMap((line) => /^FROM .* AS (\S+)/i.exec(line)?.[1] ?? []);
  const images = lines.flatMap((line) => [
    ...(/^FROM (?:--\S+ )*(\S+)/i.exec(line)?.slice(1) ?? []),
    ...(/^(?:COPY|RUN) .*--(?:from=|mount=\S*from=)([^\s,]+)/i.exec(line)?.slice(1) ?? []),
    ...(/^# *syntax=(\S+)/i.exec(line)?.slice(1) ?? []),
  ]);
  const packages = lines.flatMap((line) =>
    [...line.matchAll(/\bapt(?:-get)? (?:-\S+ )*install ([^;&|]*)/g)].flatMap(([, words = '']) =>
      words.trim().split(/\s+/),
    ),
  );
  return [
    ...images.filter((image) => image !== 'scratch' && !stages.includes(image) && !digest.test(image)),
    ...packages.filter(
      (word) => !word.startsWith('-') && !/^[a-z0-9][a-z0-9.+-]*=[0-9][\w.:+~-]*$/.test(word),
    ),
  ];
}

const dockerfiles = files.filter((file) => /Dockerfile/i.test(path.basename(file)));

test('every Dockerfile names its base images by digest and its packages by version', () => {
  expect(dockerfiles).toEqual(
    expect.arrayContaining(['deploy/agent.Dockerfile', 'deploy/operator.Dockerfile']),
  );
  expect(Object.fromEntries(dockerfiles.map((file) => [file, unpinned(read(file))]))).toEqual(
    Object.fromEntries(dockerfiles.map((file) => [file, []])),
  );
});

test('operator and agent have the same base, of the Node that the tests run with', () => {
  const bases = new Set(
    ['operator', 'agent'].map((name) => /^FROM .*$/m.exec(read(`deploy/${name}.Dockerfile`))?.[0]),
  );
  expect([...bases]).toEqual([expect.stringMatching(/^FROM node:24\.\d+\.\d+-bookworm-slim@sha256:/)]);
});

test('what a program pulls it names by digest', () => {
  const pulled = files
    .filter((file) => file.endsWith('.ts'))
    // the project's own, and names under which hack/ assembles images itself
    .flatMap((file) => [
      ...read(file).matchAll(/['"`](?!overlaynet)([a-z0-9.-]+\/[a-z0-9./-]+:v?\d[\w.-]*(?:@[^'"`]*)?)['"`]/g),
    ])
    .map(([, image]) => image ?? '');
  expect(pulled.length).toBeGreaterThan(0);
  expect(pulled.filter((image) => !digest.test(image))).toEqual([]);
});

test.each([
  ['FROM node:24-slim', ['node:24-slim']],
  ['FROM --platform=linux/amd64 node:24 AS build\nFROM build', ['node:24']],
  [`FROM scratch\nCOPY --from=busybox:1 /bin/sh /bin/`, ['busybox:1']],
  [`FROM scratch\nRUN apt-get install -y curl jq=1.6-2 && apt-get clean`, ['curl']],
  [
    `FROM scratch\nRUN apt-get update \\\n  && apt-get -q install --no-install-recommends \\\n    kmod=30* ipset`,
    ['kmod=30*', 'ipset'],
  ],
])('what is not pinned is seen: %j', (text, expected) => {
  expect(unpinned(text)).toEqual(expected);
});
