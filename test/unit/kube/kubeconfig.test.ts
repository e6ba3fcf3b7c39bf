import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesIn, loadFiles } from '../../../src/kube/kubeconfig.ts';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'ovt-kubeconfig-'))));
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const write = (name: string, text: string): string => {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
};

const kubeconfig = (name: string, server: string, current = ''): string =>
  write(
    name,
    `kind: Config
clusters: [{ name: shared, cluster: { server: "${server}" } }, { name: "${name}", cluster: { server: "${server}" } }]
users: [{ name: shared, user: { token: "${name}" } }]
contexts: [{ name: "${name}", context: { cluster: "${name}", user: shared } }]
${current === '' ? '' : `current-context: ${current}`}
`,
  );

test('of two things with one name the first file’s counts, as with kubectl', () => {
  const files = [kubeconfig('a', 'https://a'), kubeconfig('b', 'https://b')];
  const config = loadFiles(files);
  expect(config.clusters.map(({ name, server }) => [name, server])).toEqual([
    ['shared', 'https://a'],
    ['a', 'https://a'],
    ['b', 'https://b'],
  ]);
  expect(config.users.map(({ name, token }) => [name, token])).toEqual([['shared', 'a']]);
  expect(config.contexts.map(({ name }) => name)).toEqual(['a', 'b']);
});

test('the current context is the first that a file names, as with kubectl', () => {
  const [a, b, none] = [
    kubeconfig('a', 'https://a', 'a'),
    kubeconfig('b', 'https://b', 'b'),
    kubeconfig('c', 'https://c'),
  ];
  expect(loadFiles([a, b]).getCurrentCluster()?.server).toBe('https://a');
  expect(loadFiles([b, a]).getCurrentCluster()?.server).toBe('https://b');
  expect(loadFiles([none, b, a]).getCurrentCluster()?.server).toBe('https://b');
});

test('missing files are ignored, unless all are missing', () => {
  const missing = join(dir, 'missing');
  expect(loadFiles([missing, kubeconfig('a', 'https://a', 'a')]).currentContext).toBe('a');
  expect(() => loadFiles([missing, `${missing}2`])).toThrow(
    `kubeconfig ${missing}:${missing}2: there is no such file`,
  );
});

test('a token file is relative to its kubeconfig', () => {
  const file = write(
    'relative',
    'users: [{ name: u, user: { tokenFile: token } }, { name: v, user: { token: x } }]\n',
  );
  const [user] = loadFiles([file]).users;
  expect(user).toEqual({
    name: 'u',
    authProvider: { name: 'tokenFile', config: { tokenFile: join(dir, 'token') } },
  });
});

test.each([
  ['', ' is empty'],
  ['# a comment alone\n', ' is not valid YAML: expected a document, but the input is empty'],
  ['hello\n', ' is no kubeconfig: it has no clusters, users and contexts'],
  ['[1]\n', ' is no kubeconfig: it has no clusters, users and contexts'],
  ['a: [b\n', ' is not valid YAML: deficient indentation (2:1)'],
])('%j is refused in one line that names the file', (text, says) => {
  const file = write('bad', text);
  expect(() => loadFiles([file])).toThrow(`kubeconfig ${file}${says}`);
});

test('a directory is refused by its name', () => {
  expect(() => loadFiles([dir])).toThrow(`kubeconfig ${dir}: it is a directory`);
});

test('KUBECONFIG is a list', () => {
  expect(filesIn('a::b')).toEqual(['a', 'b']);
  expect(filesIn(undefined)).toEqual([]);
});
