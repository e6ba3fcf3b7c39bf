import { TestEnvironment } from 'jest-environment-jsdom';

/** What browsers have and jsdom does not: Node's own. */
const missing = {
  AbortController,
  AbortSignal,
  ReadableStream,
  Response,
  TextDecoder,
  TextEncoder,
};

/** A document as browsers have it, for the page's components: `@jest-environment ./test/support/browser.ts`. */
export default class Browser extends TestEnvironment {
  override async setup(): Promise<void> {
    await super.setup();
    Object.assign(this.global, missing);
  }
}
