/** A Node labelled so with `false` gets subnets and no bridges. */
export const bridgesLabel = 'overlaynet.dev/bridges';

/** Annotation of pods and of namespaces: a comma-separated list of networks. */
export const networkAnnotation = 'overlaynet.dev/network';
