import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { ContainerListing } from '../../../src/containers/listing.ts';
import { Engine } from '../../../src/docker/engine.ts';
import type { Run } from '../../../src/linux/run.ts';
import { FakeEngine } from '../../support/fakeengine.ts';
import { answerSchema, misfits } from '../../support/schema.ts';
import { attachment, scratch } from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
let docker: FakeEngine;
beforeEach(async () => {
  at = scratch();
  mkdirSync(at.path('attachments'));
  docker = new FakeEngine();
  await docker.up();
});
afterEach(async () => {
  await docker.drop();
  at.drop();
});

const record = attachment();
const [first] = record.interfaces;
const joined = new Date('2026-01-01T00:00:00Z');
function write(): void {
  const file = at.path('attachments', 'cafe:eth0.json');
  writeFileSync(file, JSON.stringify(record));
  utimesSync(file, joined, joined);
}

/** What `ip` and `bridge` print, by their first arguments. */
const kernel =
  (printed: Record<string, unknown>): Run =>
  (program, args) => {
    const found = printed[program];
    return Promise.resolve(
      found === undefined
        ? { code: 1, stdout: '', stderr: `${args.join(' ')} failed` }
        : { code: 0, stdout: JSON.stringify(found), stderr: '' },
    );
  };
const list = (run: Run, engine?: Engine) =>
  new ContainerListing({ node: 'node1', version: '0.1.0', stateDir: at.dir, engine, run }).list();

test.each([
  ['Present', { ip: [{ ifname: first?.host, master: first?.bridge }] }],
  ['Missing', { ip: [{ ifname: first?.host, master: 'docker0' }] }],
  ['Missing', { ip: [] }],
  ['Unknown', {}],
])('a recorded container is %s by what the kernel shows', async (state, printed) => {
  write();
  const { containers, problems } = await list(kernel(printed));
  expect(containers).toEqual(
    record.interfaces.map(({ network, name, host, mac, addresses }) => ({
      network,
      addresses,
      mac,
      interface: name,
      hostLink: host,
      runtime: 'CNI',
      id: record.containerID,
      namespace: record.namespace,
      pod: record.pod,
      since: joined.toISOString(),
      kernel: state,
    })),
  );
  expect(problems).toEqual(
    state === 'Unknown' ? ['ip -j link show type veth: -j link show type veth failed'] : [],
  );
});

test('Docker containers are listed as the engine reports them, with the link at which the bridge has seen them', async () => {
  const label = { 'dev.overlaynet.network': 'dcos' };
  docker.add({ Name: 'dcos', Labels: label });
  docker.add({ Name: 'theirs' });
  docker.containers.set('web', { network: 'dcos', running: true, address: '9.0.0.130' });
  docker.containers.set('old', { network: 'dcos', running: false });
  docker.containers.set('other', { network: 'theirs', running: true });
  const bridge = [
    { mac: '02:42:09:00:00:82', ifname: 'veth1', state: 'permanent' },
    { mac: '02:42:09:00:00:82', ifname: 'veth2' },
  ];
  const answer = await list(kernel({ ip: [], bridge }), new Engine(docker.socket));
  expect(answer.containers).toEqual([
    expect.objectContaining({
      network: 'dcos',
      name: 'web',
      addresses: ['9.0.0.130'],
      mac: '02:42:09:00:00:82',
      hostLink: 'veth2',
      kernel: 'Present',
      since: joined.toISOString(),
    }),
  ]);
  const schema = answerSchema('/overlay-agent/containers');
  expect(misfits(answer, schema)).toEqual([]);
  const silent = await list(kernel({ ip: [], bridge: [] }), new Engine(docker.socket));
  expect(silent.containers[0]).toMatchObject({ hostLink: '', kernel: 'Unknown' });
});

test('an unreadable record and a failing engine are reported, and the rest is listed', async () => {
  write();
  writeFileSync(at.path('attachments', 'broken:eth0.json'), '{');
  docker.info = { SecurityOptions: [] };
  const engine = {
    networks: () => Promise.reject(new Error('out of order')),
    members: () => Promise.resolve([]),
  };
  const { containers, problems } = await list(kernel({ ip: [] }), engine as unknown as Engine);
  expect(containers.length).toBe(record.interfaces.length);
  expect(problems.sort()).toEqual([expect.stringContaining('broken:eth0.json'), 'Docker: out of order']);
  await docker.down();
  expect((await list(kernel({ ip: [] }), new Engine(docker.socket))).problems.length).toBe(1);
});
