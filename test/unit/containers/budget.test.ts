import { jest } from '@jest/globals';
import { Knowledge } from '../../../src/agent/known.ts';
import { answer } from '../../../src/containers/answer.ts';
import { answerMs, type Ask } from '../../../src/containers/ask.ts';
import { Namespaces } from '../../../src/containers/namespaces.ts';
import { Pods } from '../../../src/containers/pods.ts';
import type { Client } from '../../../src/kube/client.ts';
import { pause } from '../../../src/kube/wait.ts';
import { silent } from '../../../src/log.ts';
import { snapshot } from '../../support/fixture.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const after = async <T>(ms: number, then: () => T): Promise<T> => {
  await pause(ms);
  return then();
};

/** An API server that finds the pod at the last moment, and never the namespace. Records how long it was waited for. */
function slowClient(waits: number[]): Client {
  const get = ({ plural }: { plural: string }, name: string, { timeoutMs }: { timeoutMs: number }) => {
    waits.push(timeoutMs);
    return plural === 'pods'
      ? after(timeoutMs - 1, () => ({ metadata: { name } }))
      : after(timeoutMs, () => {
          throw new Error(`get namespaces/${name}: no answer within ${timeoutMs} ms`);
        });
  };
  return { get } as unknown as Client;
}

/** An agent that has just started; its first pass ends after so many milliseconds. */
function startingAgent(firstPassMs: number): Knowledge {
  const wanted = snapshot();
  const pass: ConstructorParameters<typeof Knowledge>[0]['pass'] = {
    complete: true,
    snapshot: wanted,
    wanted,
    applied: undefined,
    first: after(firstPassMs, () => {
      Object.assign(pass, { applied: { failures: [], networks: new Set() } });
      return undefined;
    }),
  };
  return new Knowledge({
    pass,
    caches: { networks: { hasSynced: false }, problems: [] } as never,
    judge: { missing: undefined },
    cni: { owned: new Set() },
  });
}

const ask: Ask = { containerID: 'c', ifname: 'eth0', namespace: 'shop', pod: 'web-0' };

/** Answers the question; returns the answer, how long it took, and the time-outs of the requests to the API server. */
async function slowAnswer(firstPassMs: number) {
  const waits: number[] = [];
  const client = slowClient(waits);
  const agent = startingAgent(firstPassMs);
  const start = performance.now();
  const answered = answer(ask, {
    known: (waitMs) => agent.settled(waitMs),
    namespaces: new Namespaces({ client, log: silent, last: [], onChange: () => undefined }),
    pods: new Pods(client),
  });
  const took = answered.then(() => performance.now() - start);
  await jest.runAllTimersAsync();
  return { answer: await answered, tookMs: await took, waits };
}

test('an agent that waits for its first pass, for the pod and for the namespace answers before the plugin gives up', async () => {
  const { answer, tookMs, waits } = await slowAnswer(1_990);
  expect(answer).toEqual({
    code: 11,
    msg: expect.stringMatching(/^namespace shop is not known: .*no answer within/) as string,
  });
  expect(waits).toHaveLength(2);
  expect(tookMs).toBeLessThan(answerMs - 500);
});

test('without a first pass to wait for, the pod has two seconds, and the namespace one', async () => {
  expect((await slowAnswer(0)).waits.map((ms) => Math.round(ms / 100))).toEqual([20, 10]);
});

test('a first pass that takes longer is waited for two seconds', async () => {
  const { answer, waits } = await slowAnswer(60_000);
  expect(answer).toEqual({
    code: 11,
    msg: expect.stringContaining('the first pass over the kernel has not ended') as string,
  });
  expect(waits).toEqual([]);
});
