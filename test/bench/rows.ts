import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import PQueue from 'p-queue';
import { agentContainersPath, pathOf, type Kind, type Page } from '../../src/rows/row.ts';
import { namespaceMetadata as namespaces, pods as podsIn, type Pod } from '../../src/kube/resources.ts';
import { inParallel } from '../../src/operator/parallel.ts';
import { PlayedAgents } from './agents.ts';
import type { Bed } from './bed.ts';
import { commands } from './commands.ts';
import { ms, quantile, type Figure } from './table.ts';

const operatorPort = 9180;
const agentPort = 9181;
/** The longest time that an operator lets a caller wait for its agents. */
const mostMs = 5_000;
const mostMB = 400;
/** Of a node's containers, the others being Docker's. */
const podsEach = 5;

/**
 * Measures the requests of the command and the page. The operator is the real program; the agents are simulated over
 * HTTPS at addresses of the bench's own namespace. The floor is a plain loop that asks the same agents with the same
 * concurrency.
 */
export async function rows(bed: Bed, nodes: number, each: number): Promise<Figure[]> {
  const batch = Array.from({ length: nodes }, (_, at) => `addr add ${addressOf(at)}/32 dev ovb0\n`).join('');
  const { status, stderr } = spawnSync('ip', ['-batch', '-'], { input: batch, encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip -batch: ${stderr}`);
  const blocks = bed.file('blocks.json');
  const played = [agentPort, each, podsEach].map(String);
  await bed.play(join(import.meta.dirname, 'playedcontainers.ts'), ...played, blocks);
  const agents = new PlayedAgents(bed);
  await bed.register(0, nodes);
  const { leads } = bed.operator('first', operatorPort, '--agent-port', String(agentPort));
  await leads;
  await agents.all(nodes, 2);
  await agents.answered();
  writeFileSync(blocks, JSON.stringify(blocksOf(bed)));
  await pods(bed, nodes);
  await sleep(3_000);
  const before = bed.memory('first');

  const bare = await bareLoop(nodes);
  const first = await timed(() => page('containers', 'limit=500'));
  const total = first.answer.total;
  const missing = first.answer.unanswered?.length ?? 0;
  const figures: Figure[] = [
    {
      what: `${total} containers of ${nodes} agents, first 500: agents are asked`,
      measured: ms(first.took),
      floor: ms(bare),
      ratio: first.took / bare,
      bound: ms(mostMs),
      ok: first.took <= mostMs && total === nodes * each && missing === 0,
    },
  ];
  figures.push(await pages(total), await searches());
  for (const kind of ['networks', 'agents', 'blocks', 'findings'] as const) figures.push(await stored(kind));
  figures.push(...(await commands(bed, `http://127.0.0.1:${operatorPort}`, total)));
  const { resident, peak } = bed.memory('first');
  const text = [before.resident, resident, peak].map((one) => `${one.toFixed(0)} MB`).join(', ');
  figures.push({
    what: 'operator’s resident memory: before, after, at most',
    measured: text,
    bound: `${mostMB} MB`,
    ok: peak <= mostMB,
  });
  return figures;
}

/** The first block of `dcos` of each node, by the node's address. */
const blocksOf = (bed: Bed): Record<string, string> =>
  Object.fromEntries(
    bed.allocations.list().map(({ spec }) => {
      const dcos = spec.networks?.find(({ name }) => name === 'dcos');
      return [spec.addresses[0], dcos?.subnets[0]?.cidr ?? ''];
    }),
  );

/** The pods of all nodes, as their records name them. */
async function pods({ plane: { client } }: Bed, nodes: number): Promise<void> {
  for (let team = 0; team < 20; team++)
    await client.create(namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: `team-${team}` },
    });
  const all = Array.from({ length: nodes * podsEach }, (_, number) => number);
  await inParallel(all, async (number) => {
    const at = Math.floor(number / podsEach);
    const namespace = `team-${at % 20}`;
    const spec = { nodeName: `node-${at}`, containers: [{ name: 'web', image: 'web' }] };
    const metadata = { name: `web-${at}-${number % podsEach}`, namespace };
    await client.create<Pod>(podsIn(namespace), { apiVersion: 'v1', kind: 'Pod', metadata, spec });
  });
}

const addressOf = (at: number) => `172.18.${at >> 8}.${at & 255}`;

/** Reads every row, 5,000 a page, as `-o json` does. */
async function pages(total: number): Promise<Figure> {
  let rows = 0;
  let next: string | undefined = '';
  const { took } = await timed(async () => {
    while (next !== undefined) {
      const query: string = next === '' ? 'limit=5000' : `limit=5000&continue=${encodeURIComponent(next)}`;
      const answer: Page<unknown> = await page('containers', query);
      rows += answer.items.length;
      next = answer.continue;
    }
  });
  return {
    what: `all ${rows} rows, 5,000 a page`,
    measured: ms(took),
    bound: ms(2 * mostMs),
    ok: rows === total && took <= 2 * mostMs,
  };
}

/** Searches as a user types, while the agents' answers are cached. */
async function searches(): Promise<Figure> {
  await page('containers', 'limit=1');
  const times: number[] = [];
  const missed: string[] = [];
  for (const search of ['9.0.7.130', 'web-77', 'node-9', '0a:00:00:4d', '9.0.8.0/21']) {
    const { took, answer } = await timed(() => page('containers', `limit=100&search=${search}`));
    // agents that were too busy to answer have it
    if (answer.total === 0) missed.push(`${search}: ${answer.unanswered?.length ?? 0} agents did not answer`);
    times.push(took);
  }
  return {
    what: 'a search in them, agents asked lately: median, at most',
    measured: [`${ms(quantile(times, 0.5))}, ${ms(quantile(times, 1))}`, ...missed].join('; not found: '),
    bound: '',
    ok: missed.length === 0,
  };
}

async function stored(kind: Kind): Promise<Figure> {
  const times: number[] = [];
  let total = 0;
  for (let at = 0; at < 10; at++) {
    const { took, answer } = await timed(() => page(kind, 'limit=500'));
    total = answer.total;
    times.push(took);
  }
  return {
    what: `${kind}, 500 of ${total}: median, at most`,
    measured: `${ms(quantile(times, 0.5))}, ${ms(quantile(times, 1))}`,
    bound: '500 ms',
    ok: quantile(times, 1) <= 500,
  };
}

async function page(kind: Kind, query: string): Promise<Page<unknown>> {
  const answer = await fetch(`http://127.0.0.1:${operatorPort}${pathOf(kind)}?${query}`);
  if (!answer.ok) throw new Error(`${kind}?${query}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Page<unknown>;
}

/** Asks the agents alone, 32 at a time, and parses each answer. */
async function bareLoop(nodes: number): Promise<number> {
  const queue = new PQueue({ concurrency: 32 });
  const numbers = Array.from({ length: nodes }, (_, at) => at);
  return (await timed(() => queue.addAll(numbers.map((at) => () => ask(addressOf(at)))))).took;
}

const ask = (host: string): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const options = {
      host,
      port: agentPort,
      path: agentContainersPath,
      agent: false,
      rejectUnauthorized: false,
    };
    const call = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
      });
    });
    call.on('error', reject);
    call.end();
  });

async function timed<T>(run: () => Promise<T>): Promise<{ took: number; answer: T }> {
  const start = performance.now();
  const answer = await run();
  return { took: performance.now() - start, answer };
}
