import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { EngineSocket } from '../../src/docker/socket.ts';
import { Dockerd } from '../support/dockerd.ts';

/**
 * Records what a version leaves in a cluster: the objects of each kind, a node's checkpoint, records and leases, its
 * Docker engine's networks, and its two bundles. A container runs in that engine. `node test/recorded/record.ts COMMIT` starts a lab of that commit, as root, and writes
 * `test/recorded/COMMIT`. Later versions are tested with it (test/unit/recorded, test/apiserver/recorded,
 * test/lab/versions).
 */

const [commit = ''] = process.argv.slice(2);
if (!/^[0-9a-f]{7,40}$/.test(commit))
  throw new Error('say which commit: node test/recorded/record.ts COMMIT');

const root = join(import.meta.dirname, '..', '..');
const to = join(import.meta.dirname, commit.slice(0, 7));
const checkout = mkdtempSync(join(tmpdir(), 'ovt-recorded-'));
const kinds = [
  ...['overlayconfigs', 'overlaynetworks', 'overlayreservations'],
  ...['overlayagents', 'agentallocations', 'allocationledgers'],
];
const node = 'node2';

let engine: Dockerd | undefined;

const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: checkout, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const hack = (name: string, ...args: string[]) => run(process.execPath, join('hack', `${name}.ts`), ...args);
const save = (name: string, text: string) => {
  mkdirSync(join(to, name, '..'), { recursive: true });
  writeFileSync(join(to, name), text);
};
/** Formats JSON, so that recordings differ only in their values. */
const pretty = (text: string) => `${JSON.stringify(JSON.parse(text), undefined, 2)}\n`;

try {
  run('git', 'clone', '--quiet', root, '.');
  run('git', 'checkout', '--quiet', commit);
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  hack('up', '--detach', '--name', 'recorded', '--overlay', join(import.meta.dirname, 'overlay.yaml'));
  const environment = readFileSync(join(checkout, '.lab', 'recorded', 'env'), 'utf8');
  const kubeconfig = /^KUBECONFIG=(.*)$/m.exec(environment)?.[1] ?? '';
  const { kubectl = 'kubectl' } = JSON.parse(
    readFileSync(join(checkout, '.lab', 'recorded', 'parts.json'), 'utf8'),
  ) as { kubectl?: string };
  const kube = (...args: string[]) => run(kubectl, '--kubeconfig', kubeconfig, ...args);
  const lab = (...args: string[]) => hack('lab', '--lab', 'recorded', ...args);
  engine = await Dockerd.start({
    enter: (program, args) => ['nsenter', [`--net=/run/netns/recorded-${node}`, program, ...args]],
  });
  await engine.image();
  lab('agent', 'stop', node);
  process.env['DOCKER_SOCKET'] = engine.socket;
  lab('agent', 'start', node);
  delete process.env['DOCKER_SOCKET'];
  const docker = ['wait', 'overlayagent', node, '--for=condition=Docker', '--timeout=60s'];
  kube(...docker);
  await engine.container('web', 'dcos');
  lab('agent', 'stop', 'node3');
  kube('apply', '-f', join(import.meta.dirname, 'states.yaml'));
  for (const [network, condition] of [
    ['refused', 'Stalled'],
    ['waiting', 'Reconciling'],
    ['full', 'Stalled'],
    ['nowhere', 'Ready'],
  ] as const)
    kube('wait', 'overlaynetwork', network, `--for=condition=${condition}`, '--timeout=60s');
  for (const [reservation, condition] of [
    ['bound', 'Bound'],
    ['kept', 'Reserved'],
    ['early', 'Reserved=False'],
    ['taken', 'Accepted=False'],
    ['over', 'Accepted=False'],
  ] as const)
    kube('wait', 'overlayreservation', reservation, `--for=condition=${condition}`, '--timeout=60s');
  kube('wait', 'overlaynetwork', 'dcos', '--for=jsonpath={.metadata.finalizers}', '--timeout=60s');
  kube('delete', 'overlaynetwork', 'dcos', '--wait=false');
  const answered = '--for=jsonpath={.status.conditions[?(@.type=="Deleting")].reason}=InUse';
  kube('wait', 'overlaynetwork', 'dcos', answered, '--timeout=60s');
  for (const kind of kinds) save(`${kind}.json`, pretty(kube('get', kind, '-o', 'json')));
  const answers = new EngineSocket(engine.socket, { onAway: () => undefined });
  save('docker/networks.json', pretty(await answers.request('GET', '/networks')));
  const inNode = (...argv: string[]) => lab('exec', node, 'dcos', '--', ...argv);
  for (const [dir, name] of [
    ['/var/lib/overlaynet', 'state'],
    ['/var/lib/cni/networks', 'leases'],
  ] as const) {
    const files = inNode('find', dir, '-type', 'f', '-size', '-64k').split('\n').filter(Boolean);
    for (const file of files)
      if (!/\/(lock|\.[^/]*)$/.test(file)) save(join(name, file.slice(dir.length)), inNode('cat', file));
  }
  for (const program of ['agent', 'operator']) {
    const text = readFileSync(join(checkout, 'dist', `${program}.js`));
    const params = { [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS };
    writeFileSync(join(to, `${program}.js.br`), brotliCompressSync(text, { params }));
  }
} finally {
  await engine?.stop();
  hack('down', '--name', 'recorded');
  rmSync(checkout, { recursive: true });
}
