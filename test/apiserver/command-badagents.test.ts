import { createServer, type Server } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { selfSigned } from '../../src/serve/x509.ts';
import { ownAddress } from '../support/commandbed.ts';
import { usesCommandBed } from '../support/usescommandbed.ts';

// What commands say while an agent is there and answers nothing of use.

const { bed, run } = usesCommandBed();

let answer: 'rubbish' | 'never';
let agent: Server;
beforeAll(async () => {
  const port = Number(bed().agent.address.replace(/.*:/, ''));
  await bed().agent.close();
  const now = Date.now();
  const certificate = selfSigned({
    commonName: 'ovt',
    names: [],
    from: new Date(now - 60_000),
    until: new Date(now + 86_400_000),
  });
  agent = createServer(certificate, (_, response) => {
    if (answer === 'rubbish') response.end('<html>\u001b[31m');
  });
  await new Promise<void>((resolve) => agent.listen(port, ownAddress, resolve));
}, 60_000);
afterAll(() => {
  agent.closeAllConnections();
  agent.close();
});

test.each<[typeof answer, reason: RegExp]>([
  ['rubbish', /its answer is not JSON/],
  ['never', /no answer within \d+ ms/],
])(
  'an agent that answers with %s: no command waits for it, and each says whose answer is missing and what to do',
  async (how, reason) => {
    answer = how;
    // an operator keeps answers for three seconds
    await sleep(3_200);
    const start = performance.now();
    const containers = await run('containers');
    expect(performance.now() - start).toBeLessThan(10_000);
    expect([containers.code, containers.stdout]).toEqual([1, '']);
    expect(containers.stderr).toMatch(reason);
    expect(containers.stderr).toMatch(
      /: kubectl overlay why node node1\nNo containers found on the nodes that answered/,
    );
    const owner = await run('ip 9.0.0.2');
    expect([owner.code, owner.stdout]).toEqual([
      2,
      expect.stringContaining('whether a container has it is not known'),
    ]);
    const pod = await run('trace --from default/web --to 9.0.0.9');
    expect([pod.code, pod.stderr]).toEqual([2, expect.stringContaining('and node1 did not answer (')]);
    const why = await run('why node node1');
    expect([why.code, why.stdout]).toEqual([
      1,
      expect.stringMatching(/its agent does not answer: [^]*-> kubectl get pods/),
    ]);
    expect(why.stdout).toMatch(reason);
    for (const { stdout, stderr } of [containers, owner, pod, why])
      expect(stdout + stderr).not.toContain('\u001b');
  },
  120_000,
);
