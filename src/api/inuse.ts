import type { ObjectMeta } from './types.ts';

/** On an OverlayNetwork as long as containers use it: its deletion waits, as `spec.deletionPolicy` says. */
export const inUseFinalizer = 'overlaynet.dev/in-use';

type Lifetime = Pick<ObjectMeta, 'deletionTimestamp' | 'finalizers'>;

/** The network has our finalizer. */
export const isGuarded = ({ finalizers = [] }: Lifetime): boolean => finalizers.includes(inUseFinalizer);

/** Somebody deletes the network, and it stays in force until no container uses it. */
export const isWaiting = (metadata: Lifetime): boolean =>
  metadata.deletionTimestamp !== undefined && isGuarded(metadata);

/** The network is as good as gone: it is being deleted, and nothing of ours keeps it. */
export const isLeaving = (metadata: Lifetime): boolean =>
  metadata.deletionTimestamp !== undefined && !isGuarded(metadata);

/** How long an agent that says nothing is waited for, where OverlayConfig does not say. */
export const defaultStaleAfterMs = 300_000;
