import type { Attachment } from './attachment.ts';
import type { Change } from './change.ts';
import type { ObservedLink } from './state.ts';

/** Containers' ports, and each one's bridge. */
export const portsOf = (attachments: readonly Attachment[]): Map<string, string> =>
  new Map(attachments.flatMap(({ interfaces }) => interfaces.map(({ host, bridge }) => [host, bridge])));

/**
 * What brings a bridge's ports back to it: they lose it when it goes, and nobody else puts them on the one that comes
 * after it. One that is not in the kernel, or has no alias yet, is the CNI plugin's to make.
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
      // a container reaches itself by a Service's address; it goes with the bridge
      ...(on && seen.hairpin === true ? [] : [{ kind: 'hairpin' as const, link: bridge, name }]),
      ...(seen.up ? [] : [{ kind: 'linkUp' as const, link: bridge, name }]),
    ];
  });
}
