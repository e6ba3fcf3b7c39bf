import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { defaultBinDir, defaultDirectories } from '../../../src/host/directories.ts';

interface Pod {
  containers: { volumeMounts: { name: string; mountPath: string }[] }[];
  volumes: { name: string; hostPath?: { path: string } }[];
}

const text = readFileSync(new URL('../../../deploy/system/agent.yaml', import.meta.url), 'utf8');
const pod = parseAllDocuments(text)
  .map((document) => document.toJS() as { kind: string; spec: { template: { spec: Pod } } })
  .find(({ kind }) => kind === 'DaemonSet')!.spec.template.spec;
const hostPaths = new Map(pod.volumes.map(({ name, hostPath }) => [name, hostPath?.path]));

test('the agent finds its directories where it looks for them by default, and they are the host’s', () => {
  const same = (pod.containers[0]?.volumeMounts ?? [])
    .filter(({ name, mountPath }) => hostPaths.get(name) === mountPath)
    .map(({ mountPath }) => mountPath);
  const outside = Object.values<string>({ ...defaultDirectories }).filter(
    (dir) => !same.some((path) => dir === path || dir.startsWith(`${path}/`)),
  );
  expect(outside).toEqual([]);
});

test('plugins are installed where container runtimes look for them by default', () => {
  expect([...hostPaths.values()]).toContain(defaultBinDir);
});
