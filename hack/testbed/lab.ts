import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A lab. All its files are in `dir`. */
export interface Lab {
  name: string;
  /** `.lab/<name>` of this checkout, absolute. */
  dir: string;
}

/** A mistake of the user, in one line. */
export class UserError extends Error {}

export const root = join(import.meta.dirname, '..', '..');
const labs = join(root, '.lab');

/** Namespace of the installation in the API. */
export const installation = 'overlaynet-system';
export const apiAddress = '172.17.0.1';

/** Returns the lab of that name, even if it does not exist yet. */
export function labNamed(name: string): Lab {
  if (!/^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$/.test(name)) {
    throw new UserError(
      `"${name}" is no name for a lab: lower-case letters, digits and hyphens, at most 30 of them`,
    );
  }
  return { name, dir: join(labs, name) };
}

/** Returns the running lab of that name. Throws UserError that lists the running labs. */
export function runningLab(name: string): Lab {
  const lab = labNamed(name);
  if (existsSync(join(lab.dir, 'env'))) return lab;
  const names = existsSync(labs) ? readdirSync(labs).filter((one) => existsSync(join(labs, one, 'env'))) : [];
  const others =
    names.length === 0 ? 'none is: npm run up' : `running: ${names.join(', ')} (--lab NAME, or $NAME)`;
  throw new UserError(`no lab "${name}" is running; ${others}`);
}

/** Name of the hub's network namespace, as `ip netns` shows it. */
export const hub = (lab: Lab) => `${lab.name}-hub`;
export const namespaceOf = (lab: Lab, node: string) => `${lab.name}-${node}`;

export const kubeconfig = (lab: Lab, of?: string) =>
  of === undefined ? join(lab.dir, 'kubeconfig') : join(lab.dir, 'access', `${of}.kubeconfig`);
export const logFile = (lab: Lab, role: string) => join(lab.dir, 'logs', `${role}.log`);

/**
 * Returns a node's own addresses. The reference cluster has its three nodes at .2, .4 and .3, in this order; further
 * nodes are .5, .6 and so on.
 */
export function addressesOf(node: string): [ip: string, ip6: string] {
  const number = Number(/^node([1-9][0-9]{0,2})$/.exec(node)?.[1] ?? 0);
  if (number === 0 || number > 250) {
    throw new UserError(`"${node}" is no name for a node: node1, node2 … node250`);
  }
  const last = [2, 4, 3][number - 1] ?? number + 1;
  return [`172.17.0.${last}`, `fd00:172:17::${last.toString(16)}`];
}
