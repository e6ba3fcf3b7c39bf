import { refusals, type Ask, type Refusal } from './ask.ts';
import { choose, needsNamespace, type Choice, type Known } from './choose.ts';
import type { Namespace } from './wish.ts';

/** What an answer follows from. */
export interface Sources {
  /** Of this moment; where it is text, the data path was never complete, and the text tells what is awaited. */
  known: () => Promise<Known | string>;
  namespaces: {
    get: (name: string) => Namespace | undefined;
    lookUp: (name: string) => Promise<Namespace | string>;
  };
  pods: {
    /** What the pod's annotation says, empty for none; or why that cannot be told, for the user. */
    networkOf: (namespace: string, pod: string) => Promise<{ annotation: string } | string>;
  };
}

/** Answers which networks a container joins. What is not known of its pod or namespace is looked up first, each once. */
export async function answer(asked: Ask, { known, namespaces, pods }: Sources): Promise<Choice> {
  const now = await known();
  if (typeof now === 'string') return tryAgain(`overlaynet's data path is not complete yet: ${now}`);
  const ask = await withAnnotation(asked, pods);
  if (typeof ask === 'string') return tryAgain(ask);
  if (ask.namespace === undefined || !needsNamespace(ask, now)) return choose(ask, now, undefined);
  const namespace = namespaces.get(ask.namespace) ?? (await namespaces.lookUp(ask.namespace));
  return typeof namespace === 'string' ? tryAgain(namespace) : choose(ask, now, namespace);
}

/**
 * A plugin that calls ours may not hand the pod's annotations on. A pod that asks for an isolated network must not land in
 * the default one by that.
 */
async function withAnnotation(ask: Ask, pods: Sources['pods']): Promise<Ask | string> {
  const { namespace, pod, network, annotation, annotated = false } = ask;
  const told = network !== undefined || annotation !== undefined || annotated;
  if (told || namespace === undefined || pod === undefined) return ask;
  const found = await pods.networkOf(namespace, pod);
  if (typeof found === 'string') return found;
  return found.annotation === '' ? ask : { ...ask, annotation: found.annotation };
}

const tryAgain = (msg: string): Refusal => ({ code: refusals.tryAgain, msg });
