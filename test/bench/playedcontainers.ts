import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import {
  agentContainersPath,
  agentKernelPath,
  type NodeContainers,
  type NodeKernel,
} from '../../src/rows/row.ts';
import { selfSigned } from '../../src/serve/x509.ts';

/**
 * One process that simulates the agents of many nodes. It listens at all addresses of its network namespace and answers
 * for the node that has the requested address. Run it with `node playedcontainers.ts PORT CONTAINERS PODS FILE`; it prints
 * a line when it listens. PODS of the CONTAINERS of a node are pods, the others are in Docker. FILE has the block of each
 * node's address, as JSON.
 */

const [portText, eachText, podsText, file = ''] = process.argv.slice(2);
const each = Number(eachText);
const podsEach = Number(podsText);
let blocks: Record<string, string> | undefined;

/** 172.18.HIGH.LOW is node HIGH×256+LOW. A block of 9.1.2.0/24 has pods from 9.1.2.2 and Docker containers from 9.1.2.130. */
function containersOf(address: string): NodeContainers {
  const [, , high = 0, low = 0] = address.split('.').map(Number);
  const at = high * 256 + low;
  blocks ??= JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  const block = (blocks[address] ?? '').replace(/\.\d+\/\d+$/, '');
  return {
    ...{ node: `node-${at}`, version: '0.1.0', problems: [] },
    containers: Array.from({ length: each }, (_, number) => {
      const isPod = number < podsEach;
      const name = `web-${at}-${number}`;
      return {
        network: 'dcos',
        addresses: [`${block}.${isPod ? number + 2 : number - podsEach + 130}`],
        mac: `0a:00:${[high, low, 0, number].map((one) => one.toString(16).padStart(2, '0')).join(':')}`,
        interface: 'eth0',
        hostLink: `c-${at.toString(16)}${number.toString(16).padStart(4, '0')}`,
        runtime: isPod ? ('CNI' as const) : ('Docker' as const),
        id: `${at.toString(16).padStart(8, '0')}${number.toString(16).padStart(56, '0')}`,
        ...(isPod ? { namespace: `team-${at % 20}`, pod: name } : { name }),
        since: '2026-11-01T12:00:00Z',
        kernel: 'Present' as const,
      };
    }),
  };
}

const kernelOf = (address: string): NodeKernel => ({
  ...{
    node: containersOf(address).node,
    version: '0.1.0',
    revision: 1,
    differences: [],
    left: 0,
    problems: [],
  },
});

const answers: Record<string, (address: string) => unknown> = {
  [agentContainersPath]: containersOf,
  [agentKernelPath]: kernelOf,
};
const now = Date.now();
const { cert, key } = selfSigned({
  commonName: 'played',
  names: [],
  from: new Date(now - 60_000),
  until: new Date(now + 86_400_000),
});
const server = createServer({ cert, key }, (request, response) => {
  const address = request.socket.localAddress?.replace('::ffff:', '') ?? '';
  const answer = answers[request.url ?? ''];
  response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
  response.end(answer === undefined ? '{}' : JSON.stringify(answer(address)));
});
server.listen(Number(portText), () => process.stdout.write('listening\n'));
