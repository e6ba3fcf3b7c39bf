/** Label of Nodes. With the value `false`, a Node gets subnets but no bridges. */
export const bridgesLabel = 'overlaynet.dev/bridges';

/** Annotation of pods and of namespaces: a comma-separated list of networks. */
export const networkAnnotation = 'overlaynet.dev/network';

/** Annotation of OverlayConfig that ends one restore: its value is the id that the status shows. */
export const confirmRestore = 'overlaynet.dev/confirm-restore';

/** Annotation of OverlayConfig that confirms one mass departure: its value is the id that the status shows. */
export const confirmDepartures = 'overlaynet.dev/confirm-departures';
