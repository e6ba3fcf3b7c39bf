/** Label of Nodes. With the value `false`, a Node gets subnets but no bridges. */
export const bridgesLabel = 'overlaynet.dev/bridges';

/** Annotation of pods and of namespaces: a comma-separated list of networks. */
export const networkAnnotation = 'overlaynet.dev/network';
