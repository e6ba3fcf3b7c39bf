/** The page's version, which hack/page/build.ts inserts. */
declare const OVERLAYNET_VERSION: string;
