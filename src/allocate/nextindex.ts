import type { Departures, LedgerIndex, PinnedConfig } from '../api/types.ts';
import { settingsOf } from './config.ts';
import type { View } from './view.ts';

/** What the index records of a plan, except spaces and pages. */
interface Recorded {
  view: View;
  /** Undefined before the first registration. */
  pinned: PinnedConfig | undefined;
  mtu: number | undefined;
  restored: LedgerIndex['restored'];
  departures: Departures | undefined;
}

/** Returns the index with the present configuration, alarms and CRD. Spaces and pages are still the old ones. */
export function nextIndex(
  index: LedgerIndex,
  { view, pinned, mtu, restored, departures }: Recorded,
): LedgerIndex {
  // keep the keys in their stored order, so that an unchanged index has the same text
  const next: LedgerIndex = { ...index };
  const settings = settingsOf(view, next.settings);
  if (pinned !== undefined) next.config = pinned;
  if (settings !== undefined) next.settings = settings;
  if (pinned !== undefined && mtu !== undefined) next.mtu = mtu;
  if (restored !== undefined) next.restored = restored;
  if (departures === undefined) delete next.departures;
  else next.departures = departures;
  if (view.networksKind?.goes === false) next.networksCRD = view.networksKind.uid;
  return next;
}
