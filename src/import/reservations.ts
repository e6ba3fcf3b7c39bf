import { apiVersion, type OverlayReservationSpec } from '../api/types.ts';
import type { OldAgent } from './stateagent.ts';

export interface ImportedReservation {
  apiVersion: string;
  kind: 'OverlayReservation';
  metadata: { name: string };
  spec: OverlayReservationSpec;
}

/** Name of the reservation that stops all new allocations while the import writes. */
export const importName = 'import';

/**
 * Returns one reservation for each agent.
 * @param nodes names of Nodes by agent's address
 */
export const toReservations = (
  agents: readonly OldAgent[],
  nodes: ReadonlyMap<string, string>,
  expiresAt?: string,
): ImportedReservation[] =>
  agents.map(({ address, vtep, networks }) => {
    const nodeName = nodes.get(address);
    return {
      apiVersion,
      kind: 'OverlayReservation',
      metadata: { name: `agent-${address.replaceAll(/[.:]/g, '-')}`.replace(/-+$/, '') },
      spec: {
        ...(nodeName === undefined ? {} : { nodeName }),
        address,
        ...(vtep === undefined ? {} : { vtep }),
        ...(networks.length === 0 ? {} : { networks }),
        ...(expiresAt === undefined ? {} : { expiresAt }),
      },
    };
  });
