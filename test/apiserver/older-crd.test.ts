import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import type { OverlayConfig } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import { allocationLedgers, overlayConfigs, overlayNetworks } from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { eventually } from '../support/eventually.ts';
import { applyNetwork, crdFiles, joinNode, makeNamespace, shown } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';

/**
 * An operator whose API server has an older CRD of AllocationLedger. Without strict validation, the API server would
 * drop the unknown field, and the operator would write the index repeatedly.
 */

interface Schema {
  properties?: Record<string, Schema>;
}
interface Definition {
  spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
}

const index = ['spec', 'index'];
const settings = [...index, 'settings'];
const [ledgerCRD = ''] = crdFiles.filter((file) => basename(file) === 'allocationledgers.yaml');

let dir: string;
let plane: OwnControlPlane;
let client: Client;
let operator: OperatorProcess;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-older-'));
  plane = await startControlPlane();
  ({ client } = plane);
  await plane.apply(...crdFiles.filter((file) => file !== ledgerCRD), olderCRD());
  await makeNamespace(client);
  operator = await OperatorProcess.start(plane.kubeconfig);
});

afterAll(async () => {
  await operator.kill();
  await plane.stop();
  rmSync(dir, { recursive: true });
});

/** Returns the ledger's CRD without the index's `settings.staleAfter`. */
function olderCRD(): string {
  const crd = parse(readFileSync(ledgerCRD, 'utf8')) as Definition;
  const fields = settings.reduce<Schema>(
    (schema, field) => schema.properties?.[field] ?? {},
    crd.spec.versions[0]!.schema.openAPIV3Schema,
  ).properties;
  if (fields?.staleAfter === undefined)
    throw new Error(`${ledgerCRD} has no ${settings.join('.')}.staleAfter`);
  delete fields.staleAfter;
  const file = join(dir, 'allocationledgers.json');
  writeFileSync(file, JSON.stringify(crd));
  return file;
}

/** Returns a metric of the operator; 0 if it has no such sample. */
async function metric(sample: string): Promise<number> {
  const text = await (await operator.get('/metrics')).text();
  const line = text.split('\n').find((one) => one.startsWith(`${sample} `));
  return Number(line?.slice(sample.length + 1) ?? 0);
}

/** Returns how many writes of the index the operator has tried, by their result. */
const indexWrites = (result: string) =>
  metric(`overlaynet_operator_writes_total{kind="write-index",result="${result}"}`);
const retries = () => metric('overlaynet_operator_queue_retries_total{queue="allocation"}');

const settingsInForce = async () => (await client.get(allocationLedgers, 'spaces'))?.spec.index?.settings;
const has = (node: string, block: string) =>
  eventually(
    () => shown(client),
    (all) => all.get(node)?.includes(block) === true,
    { seconds: 60 },
  );

test('an index that the CRD cannot store is refused with the reason, and is not written repeatedly', async () => {
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  await has('node1', '9.0.0.0/24');
  expect(await indexWrites('error')).toBe(0);
  const done = await indexWrites('done');
  const { spec } = (await client.get(overlayConfigs, 'default'))!;
  await client.apply<OverlayConfig>(overlayConfigs, {
    metadata: { name: 'default' },
    spec: { ...spec, staleAfter: '7m' },
  });
  // each retry waits twice as long as the one before
  await eventually(retries, (times) => times >= 4, { seconds: 60 });
  const tries = await retries();
  expect(await indexWrites('error')).toBeLessThanOrEqual(tries + 1);
  expect(await indexWrites('done')).toBe(done);
  const [first = ''] = operator.lines('write refused');
  for (const words of [
    'object=write-index',
    'unknown field',
    'spec.index.settings.staleAfter',
    'if its CRD is of an older version than this operator, apply the CRDs of this version',
  ])
    expect(first).toContain(words);
});

test('meanwhile a joining node gets its block, and a network that needs the index says why it has no blocks', async () => {
  await joinNode(client, 'node2', '172.17.0.3');
  await has('node2', '9.0.1.0/24');
  await applyNetwork(client, 'late', [{ cidr: '10.1.0.0/16', prefix: 24 }]);
  const ready = await eventually(
    async () => (await client.get(overlayNetworks, 'late'))?.status?.conditions ?? [],
    (conditions) => conditions.some(({ reason }) => reason === 'NotStored'),
    { seconds: 60 },
  );
  expect(ready.map(({ message }) => message).join()).toContain('apply the CRDs of this version');
});

test('after the CRD is applied, everything is in force without a restart', async () => {
  const done = await indexWrites('done');
  await plane.apply(ledgerCRD);
  await eventually(settingsInForce, (found) => found?.staleAfter === '7m', { seconds: 90 });
  await has('node1', '10.1.0.0/24');
  await has('node2', '10.1.1.0/24');
  expect((await indexWrites('done')) - done).toBeLessThan(5);
}, 180_000);
