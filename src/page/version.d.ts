/** Of the page, put in by hack/page/build.ts. */
declare const OVERLAYNET_VERSION: string;
