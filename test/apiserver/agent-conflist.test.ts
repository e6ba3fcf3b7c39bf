import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Bench, condition, eventually } from './agent-harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.start();
}, 60_000);
afterAll(async () => {
  await bench.stop();
});
beforeEach(async () => {
  await bench.reset();
});

test('a conflist that comes first makes the condition false, and a plugin that is chained behind ours is named', async () => {
  const agent = await bench.running();
  const net = (name: string) => bench.node.at.path('net', name);
  writeFileSync(net('00-other.conf'), '{}');
  agent.reconcile();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'ContainersReady')).toMatchObject({
      status: 'False',
      reason: 'NotFirst',
    });
  });
  rmSync(net('00-other.conf'));
  const file = net('05-overlaynet.conflist');
  const list = JSON.parse(readFileSync(file, 'utf8')) as { plugins: object[] };
  list.plugins.push({ type: 'linkerd-cni' });
  writeFileSync(file, JSON.stringify(list));
  agent.reconcile();
  await eventually(async () => {
    const said = condition(await bench.stored(), 'ContainersReady');
    expect(said).toMatchObject({ status: 'True', reason: 'Chained' });
    expect(said?.message).toContain('linkerd-cni');
  });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(list);
});
