import { jest } from '@jest/globals';
import { join } from 'node:path';
import { kubectl, nodes } from '../support/e2e.ts';
import { newOnNodes } from '../support/e2e-traces.ts';

const root = join(import.meta.dirname, '..', '..');
jest.setTimeout(240_000);

test('kubectl deletes everything', async () => {
  const all = (await kubectl('get namespaces -o name')).split('\n').filter((name) => name.includes('/ovt-'));
  if (all.length > 0) await kubectl('delete', ...all);
  await kubectl('-n kube-system scale deployment/coredns --replicas=0');
  await kubectl('-n kube-system wait --for=delete pod -l k8s-app=kube-dns --timeout=60s');
  await kubectl('delete -f', join(root, 'deploy/samples/overlay.yaml'));
  // the command of docs/install.md
  await kubectl('delete --ignore-not-found -k', join(root, 'deploy/system'));
  await kubectl('delete --ignore-not-found -k', join(root, 'crds'));
});

test('agent cleanup leaves every node as it was', async () => {
  await kubectl('apply -k', join(root, 'deploy/cleanup'));
  await kubectl('-n overlaynet-cleanup rollout status daemonset/overlaynet-cleanup --timeout=60s');
  const logs = await kubectl(
    '-n overlaynet-cleanup logs -l app.kubernetes.io/name=overlaynet-cleanup -c cleanup',
  );
  expect(logs).toContain('removed');
  await kubectl('delete --ignore-not-found -k', join(root, 'deploy/cleanup'));
  expect(await newOnNodes()).toEqual(Object.fromEntries(nodes.map((node) => [node, []])));
});
