import { Budget } from './budget.ts';
import { refusals, type Ask, type CNIRefusal } from './ask.ts';
import { choose, needsNamespace, type Choice, type Known } from './choose.ts';
import type { Namespace } from './requested.ts';

/** The facts that an answer follows from. */
export interface Sources {
  /**
   * The present state. A text means that the data path was never complete, and says what is missing.
   * @param waitMs how long it may wait for an agent's first pass
   */
  known: (waitMs: number) => Promise<Known | string>;
  namespaces: {
    get: (name: string) => Namespace | undefined;
    lookUp: (name: string, timeoutMs: number) => Promise<Namespace | string>;
  };
  pods: {
    /** Reads the pod's annotation; empty if it has none. Returns a text for the user if it cannot be read. */
    networkOf: (
      namespace: string,
      pod: string,
      timeoutMs: number,
    ) => Promise<{ annotation: string } | string>;
  };
}

/** Answers which networks a container joins. Unknown facts about its pod or namespace are looked up first, each once. */
export async function answer(asked: Ask, sources: Sources): Promise<Choice> {
  const budget = new Budget();
  const first = await sources.known(budget.waitMs);
  if (typeof first === 'string') return incomplete(first);
  const ask = await withAnnotation(asked, sources.pods, budget);
  if (typeof ask === 'string') return tryAgain(ask);
  const there = ask.namespace === undefined ? undefined : sources.namespaces.get(ask.namespace);
  const isUnknown = there === undefined && ask.namespace !== undefined && needsNamespace(ask, first);
  const namespace = isUnknown ? await sources.namespaces.lookUp(ask.namespace ?? '', budget.waitMs) : there;
  if (typeof namespace === 'string') return tryAgain(namespace);
  if (ask === asked && !isUnknown) return choose(ask, first, namespace);
  // a network may have been deleted while the API server was asked
  const now = await sources.known(budget.waitMs);
  return typeof now === 'string' ? incomplete(now) : choose(ask, now, namespace);
}

const incomplete = (awaited: string): CNIRefusal =>
  tryAgain(`overlaynet's data path is not complete yet: ${awaited}`);

/**
 * Whether the pod must be looked up. A plugin that calls ours may not pass the pod's annotations on. A pod that asks for an
 * isolated network must then not end up in the default one.
 */
async function withAnnotation(ask: Ask, pods: Sources['pods'], budget: Budget): Promise<Ask | string> {
  const { namespace, pod, network, annotation, annotated = false } = ask;
  const isKnown = network !== undefined || annotation !== undefined || annotated;
  if (isKnown || namespace === undefined || pod === undefined) return ask;
  const found = await pods.networkOf(namespace, pod, budget.waitMs);
  if (typeof found === 'string') return found;
  return found.annotation === '' ? ask : { ...ask, annotation: found.annotation };
}

const tryAgain = (msg: string): CNIRefusal => ({ code: refusals.tryAgain, msg });
