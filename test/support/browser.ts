import { TestEnvironment } from 'jest-environment-jsdom';

/** Globals that browsers and Node have and jsdom lacks. */
const missing = {
  AbortController,
  AbortSignal,
  ReadableStream,
  Response,
  TextDecoder,
  TextEncoder,
};

/** A jsdom environment with these globals, for the page's components: `@jest-environment ./test/support/browser.ts`. */
export default class Browser extends TestEnvironment {
  override async setup(): Promise<void> {
    await super.setup();
    Object.assign(this.global, missing);
  }
}
