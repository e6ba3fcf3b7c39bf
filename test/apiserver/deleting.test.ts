import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inUseFinalizer } from '../../src/api/inuse.ts';
import type { NetworkUser, OverlayNetwork } from '../../src/api/types.ts';
import { ApiError, connect, type Client } from '../../src/kube/client.ts';
import { overlayAgents, overlayNetworks } from '../../src/kube/resources.ts';
import { assets, startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { applyNetwork, joinNode, shown } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { install } from '../support/refuses.ts';
import { eventually } from '../support/eventually.ts';

/**
 * A real API server with the objects of `kubectl apply -k deploy`, and an operator with only the rights that these
 * grant.
 */

const run = promisify(execFile);
const nodes = ['node1', 'node2'];

let plane: OwnControlPlane;
let client: Client;
let operator: OperatorProcess;
let ended = false;

beforeAll(async () => {
  plane = await startControlPlane();
  await install(plane, 'deploy');
  ({ client } = plane);
  const user = { name: 'overlaynet-operator', namespace: 'overlaynet-system' };
  operator = await OperatorProcess.start(await plane.kubeconfigFor(user));
  for (const [at, node] of nodes.entries()) await joinNode(client, node, `172.17.0.${at + 2}`);
});

afterAll(async () => {
  if (!ended) await operator.kill();
  await plane.stop();
});

const kubectl = (...args: string[]) =>
  run(join(assets(), 'kubectl'), ['--kubeconfig', plane.kubeconfig, ...args]);
const network = (name: string) => client.get(overlayNetworks, name);
const deleting = (found: OverlayNetwork | undefined) =>
  found?.status?.conditions?.find(({ type }) => type === 'Deleting');

/** Writes an agent's report: the users of the network, and the deletion that it is about. */
async function say(node: string, name: string, users: NetworkUser[], deletion?: string): Promise<void> {
  const agent = (await client.get(overlayAgents, node))!;
  const others = (agent.status?.networks ?? []).filter((one) => one.name !== name);
  const answer = deletion && {
    users: { deletion, at: new Date().toISOString(), count: users.length, named: users },
  };
  const networks = [...others, { name, state: 'OK' as const, ...answer }];
  await client.updateStatus(overlayAgents, { ...agent, status: { networks } });
}

/** Makes a network with a block on each node. */
async function given(name: string, cidr: string): Promise<void> {
  await applyNetwork(client, name, [{ cidr, prefix: 24 }]);
  const prefix = cidr.split('.', 2).join('.');
  const has = (blocks: string[] | undefined) =>
    blocks?.some((block) => block.startsWith(`${prefix}.`)) === true;
  await eventually(
    () => shown(client),
    (all) => nodes.every((node) => has(all.get(node))),
  );
}

/** Starts `kubectl delete`, which waits. */
function kubectlDelete(name: string): { ended: Promise<string>; said: () => string } {
  let text = '';
  const child = spawn(join(assets(), 'kubectl'), [
    ...['--kubeconfig', plane.kubeconfig, 'delete', 'overlaynetwork', name],
  ]);
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (text += String(part)));
  const ended = new Promise<string>((resolve) =>
    child.on('close', () => {
      resolve(text);
    }),
  );
  return { ended, said: () => text };
}

test('a network has the finalizer before a node has a block of it', async () => {
  const guardedFirst: boolean[] = [];
  const watch = new AbortController();
  const seen = (async () => {
    while (!watch.signal.aborted) {
      // read in this order: who has a block now was given it after the finalizer, or before
      const has = [...(await shown(client)).values()].flat().some((block) => block.startsWith('10.1.'));
      const finalizers = (await network('idle'))?.metadata.finalizers ?? [];
      if (has) guardedFirst.push(finalizers.includes(inUseFinalizer));
    }
  })();
  await given('idle', '10.1.0.0/16');
  await eventually(() => guardedFirst.length > 0);
  watch.abort();
  await seen;
  expect(guardedFirst).not.toContain(false);
});

test('a network that no container uses is deleted when the agents have said so', async () => {
  const waiting = kubectlDelete('idle');
  const found = await eventually(
    () => network('idle'),
    (one) => deleting(one)?.status === 'True',
  );
  expect(deleting(found)).toMatchObject({
    reason: 'AgentsAsked',
    message: expect.stringContaining('these agents have not answered yet: node1, node2;') as unknown,
  });
  for (const node of nodes) await say(node, 'idle', [], found!.metadata.deletionTimestamp);
  expect(await waiting.ended).toContain('deleted');
});

test('a network that no node has a block of is deleted at once', async () => {
  // a range that overlaps gets no blocks
  await applyNetwork(client, 'first', [{ cidr: '10.8.0.0/16', prefix: 24 }]);
  await applyNetwork(client, 'refused', [{ cidr: '10.8.0.0/16', prefix: 24 }]);
  await kubectl('delete', 'overlaynetwork', 'refused', '--timeout=30s');
  expect(await network('refused')).toBeUndefined();
});

test('with Block, a deletion waits, names the users, and ends with the last container', async () => {
  await given('busy', '10.2.0.0/16');
  const waiting = kubectlDelete('busy');
  const found = await eventually(
    () => network('busy'),
    (one) => deleting(one)?.status === 'True',
  );
  const deletion = found!.metadata.deletionTimestamp!;
  expect(waiting.said()).toContain('network busy goes once no container uses it (spec.deletionPolicy Block)');
  await say('node1', 'busy', [{ pod: 'default/web-0', address: '10.2.0.2' }], deletion);
  await say('node2', 'busy', [], deletion);
  const told = await eventually(
    async () => deleting(await network('busy'))?.message ?? '',
    (message) => message.includes('web-0'),
  );
  expect(told).toContain(
    'spec.deletionPolicy Block: 1 container uses it: pod default/web-0 (node1, 10.2.0.2); to take',
  );
  expect((await shown(client)).get('node1')).toContain('10.2.0.0/24');
  await say('node1', 'busy', [], deletion);
  expect(await waiting.ended).toContain('deleted');
  await eventually(
    () => shown(client),
    (all) => [...all.values()].flat().every((block) => !block.startsWith('10.2.')),
  );
});

test('Force deletes the network at once, even while its deletion waits', async () => {
  await given('forced', '10.3.0.0/16');
  const waiting = kubectlDelete('forced');
  await eventually(
    () => network('forced'),
    (one) => deleting(one)?.status === 'True',
  );
  await kubectl(
    'patch',
    'overlaynetwork',
    'forced',
    '--type=merge',
    '-p',
    '{"spec":{"deletionPolicy":"Force"}}',
  );
  expect(await waiting.ended).toContain('deleted');
});

test('the operator may change only the finalizer of a network', async () => {
  await applyNetwork(client, 'users', [{ cidr: '10.4.0.0/16', prefix: 24 }]);
  const user = { name: 'overlaynet-operator', namespace: 'overlaynet-system' };
  const own = connect({ kubeconfig: await plane.kubeconfigFor(user) });
  /** Tries a change until it is refused for another reason than the operator's own writes. */
  const refusal = (change: (found: OverlayNetwork) => OverlayNetwork): Promise<unknown> =>
    eventually(async () => {
      try {
        await own.update(overlayNetworks, change((await network('users'))!));
      } catch (error) {
        if (error instanceof ApiError && error.status === 409) throw error;
        return error;
      }
      return 'it was not refused';
    });
  expect(String(await refusal((found) => ({ ...found, spec: { ...found.spec, enabled: false } })))).toContain(
    'the operator changes the finalizer overlaynet.dev/in-use of networks, and nothing else',
  );
  const finalizers = ['example.com/other'];
  expect(
    String(await refusal((found) => ({ ...found, metadata: { ...found.metadata, finalizers } }))),
  ).toContain('and nothing else of them');
  await own.close();
});

test('uninstalling in the documented order ends even if containers use a network', async () => {
  await given('late', '10.5.0.0/16');
  const folder = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
  await kubectl('delete', '-k', folder('deploy/system'), '--wait=false');
  await eventually(
    () => network('late'),
    (found) => found !== undefined && (found.metadata.finalizers ?? []).length === 0,
  );
  await operator.kill();
  ended = true;
  await kubectl('delete', '-k', folder('crds'), '--timeout=40s');
  expect((await kubectl('get', 'crd', '-o', 'name')).stdout).toBe('');
});
