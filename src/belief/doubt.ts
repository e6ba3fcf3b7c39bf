import type { OverlayConfig } from '../api/types.ts';

/** Of OverlayConfig `default`; the value is the id that its status shows. */
export const confirmRestore = 'overlaynet.dev/confirm-restore';
export const confirmDepartures = 'overlaynet.dev/confirm-departures';

/** How long the operator's answer is waited for. */
const unansweredMs = 600_000;

/** AgentAllocations that the operator wrote last may come a little later than the end of the restore. */
const lingerMs = 5_000;

/** Why the objects as a whole are not believed, so that nothing that works is withdrawn. */
export interface Doubt {
  /**
   * Restored: the operator says so. WentBack: resourceVersions are lower than those seen before, and the operator has
   * not answered. ConfigReplaced: OverlayConfig is another object, as after its CRD was deleted and installed again.
   */
  reason: 'Restored' | 'WentBack' | 'ConfigReplaced';
  /** Unix time in ms. */
  since: number;
  /** The operator's, once it has answered. */
  id?: string;
  /** Unix time in ms when the operator said that it is over. */
  endedAt?: number;
}

/** What the objects as a whole are judged by. */
export interface DoubtView {
  config: Pick<OverlayConfig, 'metadata' | 'status'>;
  /** uid of the OverlayConfig that was believed last; undefined: none was. */
  believed: string | undefined;
  /** resourceVersions are lower than those seen before. */
  wentBack: boolean;
  /** Unix time in ms. */
  now: number;
}

/** The doubt as it is now; undefined: the objects are believed. */
export function judgeDoubt(before: Doubt | undefined, view: DoubtView): Doubt | undefined {
  const { config, believed, wentBack, now } = view;
  const since = Math.min(before?.since ?? now, now);
  const replaced = believed !== undefined && config.metadata.uid !== believed;
  const restored = config.status?.restored;
  if (restored !== undefined && !isConfirmed(config, confirmRestore, restored.id)) {
    return { reason: replaced ? 'ConfigReplaced' : 'Restored', since, id: restored.id };
  }
  if (before?.id !== undefined) {
    const endedAt = Math.min(before.endedAt ?? now, now);
    return now - endedAt < lingerMs ? { ...before, endedAt } : undefined;
  }
  if (restored !== undefined || now - since >= unansweredMs) return undefined;
  if (before !== undefined) return { ...before, since };
  return wentBack || replaced ? { reason: replaced ? 'ConfigReplaced' : 'WentBack', since } : undefined;
}

/** When it ends by itself, in Unix ms; Infinity: only by the operator, or a person. */
export function endOf({ since, id, endedAt }: Doubt): number {
  if (endedAt !== undefined) return endedAt + lingerMs;
  return id === undefined ? since + unansweredMs : Infinity;
}

/** Whether a person confirmed the departures that the operator does not believe. */
export const departuresConfirmed = (config: Pick<OverlayConfig, 'metadata' | 'status'>): boolean =>
  isConfirmed(config, confirmDepartures, config.status?.departures?.id);

const isConfirmed = (
  { metadata }: Pick<OverlayConfig, 'metadata'>,
  annotation: string,
  id: string | undefined,
): boolean => id !== undefined && metadata.annotations?.[annotation] === id;
