import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { answerMs, parseAsk, refusals, type Ask, type CNIRefusal } from '../../../src/containers/ask.ts';
import { readAttachments } from '../../../src/containers/attachments.ts';
import { choose, type Choice, type Joined } from '../../../src/containers/choose.ts';
import { defaultConflist, pluginDefaults, renderConflists } from '../../../src/containers/conflist.ts';
import { AgentSocket, networksPath } from '../../../src/containers/socket.ts';
import { sweep } from '../../../src/containers/sweep.ts';
import { networkAnnotation } from '../../../src/api/labels.ts';
import type { AttachedInterface, Attachment } from '../../../src/dataplane/attachment.ts';
import { alias } from '../../../src/dataplane/ownership.ts';
import { resolving } from '../../../src/dataplane/resolving.ts';
import { guard } from '../../../src/dataplane/spoof.ts';
import type { Snapshot } from '../../../src/dataplane/snapshot.ts';
import {
  attachmentsIn,
  defaultBinDir,
  defaultDirectories,
  markIn,
  socketIn,
  untoldBeside,
} from '../../../src/host/directories.ts';
import { interfaceName, linkPrefix, mostNetworks, portPattern } from '../../../src/net/name.ts';
import { network, node2, recordingLog, scratch, snapshot } from '../../support/fixture.ts';

/** What the plugin and the agent both rely on. The plugin's tests check themselves against the same file. */
interface Contract {
  paths: Record<
    'socket' | 'untold' | 'complete' | 'stateDir' | 'attachments' | 'leaseDir' | 'binDir',
    string
  >;
  request: string;
  annotation: string;
  annotationsCapability: string;
  alias: string;
  prefixes: Record<'cni' | 'docker' | 'port' | 'probe', string>;
  sets: Record<string, string[]>;
  codes: Record<string, number>;
  limits: { networks: number; containerID: number; replyBytes: number };
  timeouts: { answerMs: number };
  cniVersions: string[];
  interfaces: Record<string, string[]>;
  configuration: { network: string; socket: string; stateDir: string; leaseDir: string };
  questions: Ask[];
  answer: { networks: Joined[] };
  refusals: { status: number; body: CNIRefusal }[];
  record: { file: string; content: Attachment };
  sweep: { arguments: string[]; output: { freed: string[]; kept: number } };
}

const file = new URL('../../../src/cni/testdata/contract.json', import.meta.url);
const contract = JSON.parse(readFileSync(file, 'utf8')) as Contract;

let at: ReturnType<typeof scratch>;
beforeEach(() => (at = scratch()));
afterEach(() => {
  at.drop();
});

const keys = (...objects: object[]) => [...new Set(objects.flatMap(Object.keys))].sort();

/** dcos and dual, as the contract's answer offers them. */
const offered: Snapshot = snapshot({
  networks: [
    network('dcos', { cidr: '9.0.0.0/16', prefix: 24, state: 'Active' }),
    network(
      'dual',
      { cidr: '9.1.0.0/16', prefix: 24, state: 'Active' },
      { cidr: 'fd01:b::/64', prefix: 80, state: 'Active' },
    ),
  ],
  allocations: [
    {
      node: 'node2',
      spec: {
        ...node2,
        networks: [
          { name: 'dcos', subnets: [{ cidr: '9.0.1.0/24', bridges: { cni: '9.0.1.0/25' } }] },
          {
            name: 'dual',
            subnets: [
              { cidr: '9.1.1.0/24', bridges: { cni: '9.1.1.0/25' } },
              { cidr: 'fd01:b:0:0:1::/80', bridges: { cni: 'fd01:b:0:0:1::/81' } },
            ],
          },
        ],
      },
    },
  ],
});

test('the constants are those of the contract', () => {
  // the plugin alone finds out that a subnet is full
  const { subnetFull, ...ours } = contract.codes;
  expect(Object.values(refusals)).not.toContain(subnetFull);
  expect({
    paths: {
      socket: socketIn(defaultDirectories.runDir),
      untold: untoldBeside(socketIn(defaultDirectories.runDir)),
      complete: markIn(defaultDirectories.runDir),
      stateDir: defaultDirectories.stateDir,
      attachments: attachmentsIn(defaultDirectories.stateDir),
      leaseDir: defaultDirectories.leaseDir,
      binDir: defaultBinDir,
    },
    request: `POST ${networksPath}`,
    annotation: networkAnnotation,
    alias,
    prefixes: {
      cni: linkPrefix.cni,
      docker: linkPrefix.docker,
      port: linkPrefix.port,
      probe: linkPrefix.probe,
    },
    codes: refusals,
    networks: mostNetworks,
    answerMs,
  }).toEqual({
    paths: contract.paths,
    request: contract.request,
    annotation: contract.annotation,
    alias: contract.alias,
    prefixes: contract.prefixes,
    codes: ours,
    networks: contract.limits.networks,
    answerMs: contract.timeouts.answerMs,
  });
});

test('the sets that the plugin fills are those of the contract', () => {
  const filled = Object.fromEntries(
    [guard, resolving].map(({ name, sets }) => [
      name,
      Object.keys(sets).filter((set) => sets[set]?.element !== undefined),
    ]),
  );
  expect(filled).toEqual(contract.sets);
});

test('a container has the interfaces of the contract', () => {
  for (const [first, names] of Object.entries(contract.interfaces)) {
    expect(names.map((_, place) => interfaceName(first, place))).toEqual(names);
  }
});

test('the conflists are those of the contract', () => {
  const { network: of, socket, stateDir, leaseDir } = contract.configuration;
  const paths = { socket, stateDir, leaseDir };
  const list = (text = '{}') =>
    JSON.parse(text) as { name: string; cniVersions: string[]; plugins: unknown[] };
  const ours = list(renderConflists(offered, paths).find((one) => one.network === of)?.text);
  expect(ours.plugins[0]).toEqual(contract.configuration);
  expect(ours.cniVersions).toEqual(contract.cniVersions);
  // paths that the plugin takes by itself are left out
  expect(list(defaultConflist(pluginDefaults))).toMatchObject({
    name: contract.record.content.conflist,
    plugins: [{ type: 'overlaynet', capabilities: { [contract.annotationsCapability]: true } }, {}, {}],
  });
  expect(keys(list(defaultConflist(pluginDefaults)).plugins[0] as object)).toEqual(['capabilities', 'type']);
});

test('the questions are those of the contract', () => {
  for (const asked of contract.questions) expect(parseAsk(JSON.stringify(asked))).toEqual(asked);
  const fields: Record<keyof Ask, true> = {
    containerID: true,
    ifname: true,
    namespace: true,
    pod: true,
    annotation: true,
    annotated: true,
    network: true,
  };
  expect(keys(...contract.questions)).toEqual(keys(fields));
  const containerID = 'c'.repeat(contract.limits.containerID);
  expect(parseAsk(JSON.stringify({ containerID, ifname: 'eth0' }))).toEqual({ containerID, ifname: 'eth0' });
});

test('the answer is that of the contract', () => {
  const known = { snapshot: offered, idle: new Map<string, string>(), failed: new Map<string, string>() };
  expect(choose(contract.questions[0]!, known, { name: 'shop' })).toEqual(contract.answer);
  const most = Array<Joined>(mostNetworks).fill(contract.answer.networks[1]!);
  expect(JSON.stringify({ networks: most }).length).toBeLessThan(contract.limits.replyBytes / 2);
});

test('the socket says answers and refusals as the contract does', async () => {
  const [method = '', path = ''] = contract.request.split(' ');
  const post = (body: string) =>
    new Promise<{ status: number; body: unknown }>((resolve, reject) => {
      const asking = request({ socketPath: at.path('run.sock'), path, method, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
        });
      });
      asking.on('error', reject);
      asking.end(body);
    });
  const replies: Choice[] = [contract.answer, ...contract.refusals.map(({ body }) => body)];
  const asked: Ask[] = [];
  const answer = (ask: Ask) => Promise.resolve(replies[asked.push(ask) - 1]!);
  const socket = new AgentSocket({ path: at.path('run.sock'), answer, log: recordingLog() });
  await socket.listen();
  try {
    const said = [];
    while (said.length < replies.length) said.push(await post(JSON.stringify(contract.questions[0])));
    expect(said).toEqual([{ status: 200, body: contract.answer }, ...contract.refusals]);
    expect(asked).toEqual(replies.map(() => contract.questions[0]));
  } finally {
    await socket.close();
  }
});

test('the record is that of the contract', () => {
  const { content, file: name } = contract.record;
  const path = join(attachmentsIn(at.dir), name);
  mkdirSync(dirname(path));
  writeFileSync(path, `${JSON.stringify(content)}\n`);
  expect(readAttachments(at.dir)).toEqual({ attachments: [content], problems: [] });
  const fields: Record<keyof Attachment, true> = {
    version: true,
    conflist: true,
    containerID: true,
    ifname: true,
    netns: true,
    namespace: true,
    pod: true,
    interfaces: true,
  };
  const ofInterface: Record<keyof AttachedInterface, true> = {
    network: true,
    name: true,
    host: true,
    mac: true,
    bridge: true,
    addresses: true,
  };
  expect(keys(content)).toEqual(keys(fields));
  expect(keys(...content.interfaces)).toEqual(keys(ofInterface));
  for (const { host } of content.interfaces) expect(host).toMatch(portPattern);
});

test('a sweep is asked for, and its output read, as the contract says', async () => {
  const { arguments: wanted, output } = contract.sweep;
  const log = recordingLog();
  const calls: string[][] = [];
  const problem = await sweep({
    plugin: 'overlaynet',
    directories: contract.configuration,
    run: (_, args) => {
      calls.push(args);
      return Promise.resolve({ code: 0, stdout: `${JSON.stringify(output)}\n`, stderr: '' });
    },
    log,
  });
  expect(problem).toBeUndefined();
  expect(calls).toEqual([wanted]);
  expect(log.lines).toEqual([
    `info swept freed=${output.freed.length} kept=${output.kept} what=${JSON.stringify(output.freed)}`,
  ]);
});
