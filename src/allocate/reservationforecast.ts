import type { OverlayReservation } from '../api/types.ts';
import type { Facts } from './facts.ts';
import { reservationStatus } from './reservationstatus.ts';

/** The result for one OverlayReservation that a manifest names. */
export interface ReservationForecast {
  name: string;
  refusal: { reason: string; message: string } | undefined;
  /** The Node that gets it; empty if none is known yet. */
  node: string;
  /** Whether that Node exists. */
  isThere: boolean;
  /** `VTEP 44.128.0.2/20`, `9.0.1.0/24 of network dcos`: what the ledger then has for it. */
  reserved: string[];
  /** What its node has already. */
  held: string[];
  /** What it does not get yet, and why. */
  waiting: { text: string; message: string }[];
  warnings: string[];
}

/** @param names those that the manifest names */
export const reservationForecasts = (names: readonly string[], is: Facts): ReservationForecast[] =>
  names.flatMap((name) => {
    const one = is.view.reservations.get(name);
    return one === undefined ? [] : [forecastOf(one, is)];
  });

function forecastOf(one: OverlayReservation, is: Facts): ReservationForecast {
  const { metadata, spec } = one;
  const { node = '', parts = [] } = is.plan.reservations.verdicts.get(metadata.name) ?? {};
  const accepted = reservationStatus(one, is)?.conditions?.find(({ type }) => type === 'Accepted');
  const isRefused = accepted?.status === 'False';
  const of = (state: (typeof parts)[number]['state']) =>
    parts.filter((part) => part.state === state).map(({ text }) => text);
  const until = spec.expiresAt === undefined ? 'as long as this object is there' : `until ${spec.expiresAt}`;
  return {
    name: metadata.name,
    refusal: isRefused ? { reason: accepted.reason, message: accepted.message } : undefined,
    node,
    isThere: is.view.nodes.has(node),
    reserved: of('Reserved'),
    held: of('Held'),
    waiting: parts.flatMap(({ text, state, why }) =>
      state === 'Waiting' ? [{ text, message: why?.message ?? '' }] : [],
    ),
    warnings: [
      ...(spec.exclusive === true && !isRefused
        ? [`spec.exclusive: no node gets anything new, except what is reserved for it, ${until}`]
        : []),
      ...(metadata.deletionTimestamp === undefined
        ? []
        : ['this reservation is being deleted: the applied changes are lost with it']),
    ],
  };
}
