import { confirmDepartures, confirmRestore } from '../api/labels.ts';
import type { OverlayConfig } from '../api/types.ts';

/** How long to wait for the operator's answer. */
const unansweredMs = 600_000;

/** AgentAllocations that the operator wrote last may arrive a little after the end of the restore. */
const lingerMs = 5_000;

/** A reason not to believe the objects as a whole. Nothing that works is withdrawn meanwhile. */
export interface Doubt {
  /**
   * Restored: the operator reports it. WentBack: resourceVersions are lower than those seen before, and the operator
   * has not answered. ConfigReplaced: OverlayConfig is another object, as after its CRD was deleted and installed
   * again.
   */
  reason: 'Restored' | 'WentBack' | 'ConfigReplaced';
  /** Unix time in ms. */
  since: number;
  /** The operator's id of the restore, once it has answered. */
  id?: string;
  /** Unix time in ms when the operator reported the end. */
  endedAt?: number;
}

/** The facts by which the objects as a whole are judged. */
export interface DoubtView {
  config: Pick<OverlayConfig, 'metadata' | 'status'>;
  /** uid of the OverlayConfig that was last believed; undefined before the first. */
  believed: string | undefined;
  /** resourceVersions are lower than those seen before. */
  wentBack: boolean;
  /** Unix time in ms. */
  now: number;
}

/** The doubt as it is now; undefined if the objects are believed. */
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

/** When the doubt ends without confirmation, in Unix ms; Infinity if only the operator or a person can end it. */
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
