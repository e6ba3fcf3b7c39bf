/** A Node labelled so with `false` gets subnets and no bridges. */
export const bridgesLabel = 'overlaynet.dev/bridges';
