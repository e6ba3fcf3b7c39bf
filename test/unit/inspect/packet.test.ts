import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packetEndpoint } from '../../../src/inspect/packet.ts';
import type { RunResult } from '../../../src/linux/run.ts';
import { silent } from '../../../src/log.ts';
import { attachment } from '../../support/fixture.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'ovt-packet-'));
  mkdirSync(join(stateDir, 'attachments'));
});
afterEach(() => {
  rmSync(stateDir, { recursive: true });
});

/** A container of this node. */
function container(id: string, address: string, mac: string): void {
  const record = attachment({
    containerID: id,
    interfaces: [
      {
        network: 'dcos',
        name: 'eth0',
        host: `c-${id.padStart(12, '0')}`,
        mac,
        bridge: 'm-dcos',
        addresses: [address],
      },
    ],
  });
  writeFileSync(join(stateDir, 'attachments', `${id}:eth0.json`), JSON.stringify(record));
}

const order = { side: 'out', from: '9.0.1.2', to: '9.0.2.2', protocol: 'icmp', id: 61_000 };

function endpoint(answer: () => Promise<RunResult>) {
  const ran: string[][] = [];
  const post = packetEndpoint({
    node: 'node1',
    plugin: '/opt/cni/bin/overlaynet',
    stateDir,
    log: silent,
    run: (_, args) => {
      ran.push(args);
      return answer();
    },
  });
  return {
    ran,
    post: async (changed: object = {}) => {
      const { status, body } = await post({ body: JSON.stringify({ ...order, ...changed }) });
      return { status, body: JSON.parse(body as string) as { error?: string; sent?: number } };
    },
  };
}

const nothing = () => Promise.resolve({ code: 0, stdout: '{"sent":1,"seen":[]}', stderr: '' });

test('a packet is sent as the container that has the address, by its bridge and MAC', async () => {
  container('a1', '9.0.1.2', '0a:00:00:00:00:02');
  const { post, ran } = endpoint(nothing);
  expect(await post()).toEqual({ status: 200, body: { sent: 1, seen: [] } });
  expect(ran).toEqual([
    'send --from 9.0.1.2 --to 9.0.2.2 --protocol icmp --id 61000 --bridge m-dcos --mac 0a:00:00:00:00:02'.split(
      ' ',
    ),
  ]);
});

test('a container on the same bridge is reached by its MAC, and not by the gateway', async () => {
  container('a1', '9.0.1.2', '0a:00:00:00:00:02');
  container('a2', '9.0.1.3', '0a:00:00:00:00:03');
  const { post, ran } = endpoint(nothing);
  await post({ to: '9.0.1.3' });
  expect(ran[0]?.slice(-2)).toEqual(['--target-mac', '0a:00:00:00:00:03']);
});

test('nothing is sent as an address that no container of the node has', async () => {
  container('a1', '9.0.1.2', '0a:00:00:00:00:02');
  container('a2', '9.0.1.3', '');
  const { post, ran } = endpoint(nothing);
  for (const from of ['9.0.1.9', '9.0.1.3', '172.17.0.2']) {
    const { status, body } = await post({ from });
    expect([status, body.error]).toEqual([400, expect.stringContaining(`no CNI container of node1`)]);
  }
  expect(ran).toEqual([]);
});

test('what the plugin says of its failure comes through', async () => {
  container('a1', '9.0.1.2', '0a:00:00:00:00:02');
  const { post } = endpoint(() =>
    Promise.resolve({ code: 1, stdout: '', stderr: 'overlaynet send: link m-dcos: no such device' }),
  );
  const { status, body } = await post();
  expect(status).toBe(500);
  expect(body.error).toBe('/opt/cni/bin/overlaynet send: overlaynet send: link m-dcos: no such device');
});

test('one packet at a time: the plugin removes what an earlier one left', async () => {
  container('a1', '9.0.1.2', '0a:00:00:00:00:02');
  const ends: (() => void)[] = [];
  const { post } = endpoint(async () => {
    await new Promise<void>((resolve) => ends.push(resolve));
    return nothing();
  });
  const first = post();
  expect((await post()).status).toBe(429);
  const watch = post({ side: 'in' });
  for (const end of ends) end();
  expect([(await first).status, (await watch).status]).toEqual([200, 200]);
  const second = post();
  ends.at(-1)?.();
  expect((await second).status).toBe(200);
});
