import { expect } from '@jest/globals';
import { Netns } from '../support/netns.ts';

/**
 * Serves at `:PORT`; with `crowd`, fills it with other clients' connections. Asks itself at each address and prints the
 * results.
 */
const script = `
  import { request } from 'node:https';
  import { connect } from 'node:net';
  import { json, serve } from './src/serve/http.ts';
  import { silent } from './src/log.ts';
  const server = await serve({
    listen: ':9181',
    routes: { '/healthz': () => json(200, 'ok') },
    log: silent,
    secure: { certificate: { commonName: 'test', names: [] }, reviewer: {} },
  });
  const ask = (host) => new Promise((resolve) => {
    const call = request({ host, port: 9181, path: '/healthz', rejectUnauthorized: false }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode));
    });
    call.on('error', (error) => resolve(error.code)).end();
  });
  if (process.argv.includes('crowd')) {
    const socket = (from) => new Promise((resolve) => {
      connect({ host: '172.17.0.2', port: 9181, localAddress: '127.0.1.' + from }, resolve);
    });
    for (let from = 1; from <= 16; from++) await Promise.all(Array.from({ length: 32 }, () => socket(from)));
  }
  console.log(await ask('172.17.0.2'), await ask('fd00::2'));
  await server.close();
  process.exit(0);
`;

let node: Netns;
beforeEach(async () => {
  node = await Netns.create();
  await node.sh('ip addr add 172.17.0.2/32 dev lo');
});
afterEach(() => node.delete());

const served = async (...args: string[]) => {
  const program = ['--input-type=module', '--eval', script, '--', ...args];
  const { stdout, stderr } = await node.run(process.execPath, program);
  return stdout.trim() || stderr;
};

test('the server answers on both families of a node', async () => {
  await node.sh('ip addr add fd00::2/128 dev lo nodad');
  expect(await served()).toBe('200 200');
});

test('the server answers over IPv4 on a node without IPv6', async () => {
  await node.sh('sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.bindv6only=1');
  expect(await served()).toMatch(/^200 E/);
});

// kubelet asks a pod of the host's network in this way: the source is the address that it asks
test('a node can reach itself, even if other clients fill the connections', async () => {
  await node.sh('ip addr add fd00::2/128 dev lo nodad');
  expect(await served('crowd')).toBe('200 200');
});
