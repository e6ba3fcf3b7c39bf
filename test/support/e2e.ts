import { join } from 'node:path';
import { command } from '../../hack/parts/command.ts';

/**
 * Returns the path of a command for the cluster of `npm run e2e`, from the directory OVERLAYNET_E2E. Throws without a
 * cluster.
 */
function program(name: string): string {
  const dir = process.env.OVERLAYNET_E2E;
  if (dir === undefined) throw new Error('no cluster to test: npm run e2e makes one');
  return join(dir, name);
}

export const image = 'overlaynet-e2e/tool:1';
export const cluster = 'overlaynet-e2e';
export const controlPlane = `${cluster}-control-plane`;
export const workers = [`${cluster}-worker`, `${cluster}-worker2`] as const;
export const nodes = [controlPlane, ...workers];

/** Runs kubectl with the words of `words`, then `more`. Throws its error message. */
export const kubectl = (words: string, ...more: string[]): Promise<string> =>
  command(program('kubectl'), [...words.split(' '), ...more]);

/** Runs `kubectl overlay`. Throws its error message unless the exit status is 0. */
export const overlay = (words: string): Promise<string> =>
  command(program('kubectl-overlay'), words.split(' '));

/** Runs kubectl get with -o json. */
export const get = async <T>(words: string): Promise<T> =>
  JSON.parse(await kubectl(`get ${words} -o json`)) as T;

export const apply = (...items: object[]): Promise<string> =>
  command(program('kubectl'), ['apply', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  });

/** Runs a program on a node. */
export const onNode = (node: string, words: string, ...more: string[]): Promise<string> =>
  command(program('docker'), ['exec', node, ...words.split(' '), ...more]);

/** Restarts a node: its network namespace, its processes and /run are new. */
export const restart = (node: string): Promise<string> =>
  command(program('docker'), ['restart', '-t', '5', node]);

/** Runs the tool outside the cluster, at a place that reaches the nodes. */
export const client = (words: string): Promise<string> =>
  command(program('tool'), words.split(' ')).then((text) => text.trim());

/** Runs the tool in a pod: `tool('a', 'get http://…')`. */
export const tool = (pod: string, words: string, namespace = 'default'): Promise<string> =>
  kubectl(`exec -n ${namespace} ${pod} --`, '/tool', ...words.split(' ')).then((text) => text.trim());
