import { refusals, type Ask, type Refusal } from './ask.ts';
import { choose, type Choice, type Known } from './choose.ts';
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

/** Which networks a container joins. A namespace that is unknown is looked up once, and so is a pod whose annotations were lost. */
export async function answer(asked: Ask, { known, namespaces, pods }: Sources): Promise<Choice> {
  const now = await known();
  if (typeof now === 'string') return tryAgain(`overlaynet's data path is not complete yet: ${now}`);
  const ask = await withAnnotation(asked, pods);
  if (typeof ask === 'string') return tryAgain(ask);
  const namespace = ask.namespace === undefined ? undefined : namespaces.get(ask.namespace);
  const choice = choose(ask, now, namespace);
  if (choice !== 'namespace') return choice;
  const found = await namespaces.lookUp(ask.namespace ?? '');
  if (typeof found === 'string') return tryAgain(found);
  const second = choose(ask, now, found);
  return second === 'namespace' ? tryAgain(`namespace ${found.name} is not known`) : second;
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
