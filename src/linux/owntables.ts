import type { Attachments } from '../dataplane/attachment.ts';
import type { TableSpec } from '../dataplane/nftable.ts';
import { desiredLeased, resolving } from '../dataplane/resolving.ts';
import { desiredGuard, guard } from '../dataplane/spoof.ts';
import type { WantedTable } from './nft.ts';

/** Our nftables tables. */
export const tableSpecs: readonly TableSpec[] = [guard, resolving];

/**
 * The tables with what they should hold. While a record cannot be read, no element is removed.
 * @param records read once a pass, and not before the tables were read
 */
export function ownTables(records: () => Attachments): WantedTable[] {
  const elements = (of: typeof desiredGuard) => () => {
    const { attachments, problems } = records();
    return of(attachments, problems.length > 0);
  };
  return [
    { spec: guard, elements: elements(desiredGuard) },
    { spec: resolving, elements: elements(desiredLeased) },
  ];
}
