import type { Attachment } from './attachment.ts';
import type { Change } from './change.ts';
import type { ObservedLink } from './state.ts';

/** Maps each container port to its bridge. */
export const portsOf = (attachments: readonly Attachment[]): Map<string, string> =>
  new Map(attachments.flatMap(({ interfaces }) => interfaces.map(({ host, bridge }) => [host, bridge])));

/**
 * Attaches ports to their bridge again: they lose it when the bridge is removed, and no other program attaches them
 * to the new one. A port that does not exist, or has no alias yet, is left to the CNI plugin.
 * @param anew the bridge is about to be created
 */
export function diffPorts(
  bridge: string,
  anew: boolean,
  ports: ReadonlyMap<string, string>,
  observed: ReadonlyMap<string, ObservedLink>,
): Change[] {
  return [...ports].flatMap(([name, wanted]): Change[] => {
    const seen = observed.get(name);
    if (wanted !== bridge || seen?.ours !== true) return [];
    const on = !anew && seen.master === bridge;
    return [
      ...(on ? [] : [{ kind: 'joinBridge' as const, link: bridge, name }]),
      // lets a container reach itself by a Service's address; the setting is lost with the bridge
      ...(on && seen.hairpin === true ? [] : [{ kind: 'hairpin' as const, link: bridge, name }]),
      ...(seen.up ? [] : [{ kind: 'linkUp' as const, link: bridge, name }]),
    ];
  });
}
