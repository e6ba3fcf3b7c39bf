import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/api/types.ts';
import type { Resource } from '../../src/kube/resources.ts';
import { askAgent } from './agent-ask.ts';
import { Bench } from '../support/agent-harness.ts';
import { eventually } from '../support/eventually.ts';

/** Pods whose annotations the runtime did not pass, and an agent with the rights of deploy/. */
let bench: Bench;
const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };

beforeAll(async () => {
  bench = await Bench.startOwn();
  const { plane } = bench;
  for (const name of ['overlaynet-system', 'shop'])
    await plane.client.apply(namespaces, { metadata: { name } });
  await plane.apply('deploy/system/agent-rights.yaml');
  await bench.reset();
  const kubeconfig = await plane.kubeconfigFor({ name: 'overlaynet-agent', namespace: 'overlaynet-system' });
  await bench.running(kubeconfig);
});
afterAll(() => bench.stop());

const ask = (fields: object = {}) => askAgent(bench.node, { namespace: 'shop', annotated: false, ...fields });

test('such pods wait and say why until the agent may read pods; then they get the networks of their annotation', async () => {
  const { plane } = bench;
  expect(await ask()).toMatch(
    /^11 the annotations of pod shop\/web-0 did not come with it \(capability io.kubernetes.cri.pod-annotations\), and the API server cannot be asked: .*403 Forbidden.*; deploy\/pods gives that right$/,
  );
  expect(await ask({ annotated: true })).toBe('eth0=dcos');
  await plane.kubectl('apply', '-k', 'deploy/pods');
  await eventually(async () => {
    expect(await ask()).toBe('11 there is no pod shop/web-0');
  });
  const pods: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespace: 'shop' };
  const spec = { containers: [{ name: 'web', image: 'example.com/web' }] };
  await plane.client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'bare' },
    spec,
  } as KubeObject);
  const annotations = { 'overlaynet.dev/network': 'dcos6' };
  const metadata = { name: 'web-0', annotations };
  await plane.client.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec } as KubeObject);
  expect(await ask()).toBe('eth0=dcos6');
  expect(await ask({ pod: 'bare' })).toBe('eth0=dcos');
});
