import { answer, type Sources } from '../../../src/containers/answer.ts';
import type { Ask } from '../../../src/containers/ask.ts';
import type { Known } from '../../../src/containers/choose.ts';
import type { Namespace } from '../../../src/containers/requested.ts';
import { snapshot } from '../../support/fixture.ts';

const known: Known = { snapshot: snapshot(), idle: new Map(), failed: new Map() };
const ask: Ask = { containerID: 'c', ifname: 'eth0', namespace: 'new', pod: 'web-0', annotated: true };

function sources(
  changes: Partial<Record<'inCache' | 'inAPI', Namespace>> & {
    why?: string;
    pod?: string | { annotation: string };
  } = {},
) {
  const asked: string[] = [];
  const of: Sources = {
    known: () => Promise.resolve(known),
    namespaces: {
      get: () => changes.inCache,
      lookUp: (name) => {
        asked.push(name);
        return Promise.resolve(changes.inAPI ?? changes.why ?? `there is no namespace ${name}`);
      },
    },
    pods: {
      networkOf: (namespace, pod) => {
        asked.push(`${namespace}/${pod}`);
        return Promise.resolve(changes.pod ?? 'pods cannot be read');
      },
    },
  };
  return { asked, of };
}

test('a known namespace causes no request', async () => {
  const { asked, of } = sources({ inCache: { name: 'new', annotation: 'dcos6' } });
  expect(await answer(ask, of)).toMatchObject({ networks: [{ name: 'dcos6' }] });
  expect(asked).toEqual([]);
});

test('an unknown namespace is read once', async () => {
  const { asked, of } = sources({ inAPI: { name: 'new', annotation: 'dcos6' } });
  expect(await answer(ask, of)).toMatchObject({ networks: [{ name: 'dcos6' }] });
  expect(asked).toEqual(['new']);
});

test('a namespace that cannot be read makes the plugin try again, and is named', async () => {
  expect(await answer(ask, sources().of)).toEqual({ code: 11, msg: 'there is no namespace new' });
  const why = 'namespace new is not known: get namespaces/new: 403 Forbidden';
  expect(await answer(ask, sources({ why }).of)).toEqual({ code: 11, msg: why });
});

test('an answer that does not depend on the namespace needs no request', async () => {
  const { asked, of } = sources();
  expect(await answer({ ...ask, annotation: 'dcos' }, of)).toMatchObject({ networks: [{ name: 'dcos' }] });
  expect(asked).toEqual([]);
});

describe('if the runtime did not pass the pod’s annotations', () => {
  const lost: Ask = { containerID: 'c', ifname: 'eth0', namespace: 'new', pod: 'web-0' };
  const inCache = { name: 'new', annotation: 'dcos' };

  test('the pod is read from the API server', async () => {
    const { asked, of } = sources({ inCache, pod: { annotation: 'dcos6' } });
    expect(await answer(lost, of)).toMatchObject({ networks: [{ name: 'dcos6' }] });
    expect(asked).toEqual(['new/web-0']);
    expect(await answer(lost, sources({ inCache, pod: { annotation: '' } }).of)).toMatchObject({
      networks: [{ name: 'dcos' }],
    });
  });

  test('a pod that cannot be read gets no network', async () => {
    expect(await answer(lost, sources({ inCache }).of)).toEqual({ code: 11, msg: 'pods cannot be read' });
  });

  test('a network that the conflist names, and containers outside Kubernetes, need no annotation', async () => {
    const { asked, of } = sources({ inCache });
    expect(await answer({ ...lost, network: 'dcos6' }, of)).toMatchObject({ networks: [{ name: 'dcos6' }] });
    const bare: Ask = { containerID: 'c', ifname: 'eth0' };
    expect(await answer(bare, of)).toHaveProperty('networks');
    expect(asked).toEqual([]);
  });
});

test('the answer names what is missing until the data path is complete', async () => {
  const waiting = {
    ...sources().of,
    known: () => Promise.resolve("this node's AgentAllocation has no VTEP"),
  };
  expect(await answer(ask, waiting)).toEqual({
    code: 11,
    msg: "overlaynet's data path is not complete yet: this node's AgentAllocation has no VTEP",
  });
});
