import { faultOf, type Log } from '../log.ts';

export type ChangeHandler<T> = (name: string, object: T | undefined, old: T | undefined) => void;

/**
 * @param from the version seen before
 * @param to the version that the API server shows now
 */
export type WentBackHandler = (from: string, to: string) => void;

/** The functions that an informer calls. An error of one is logged, and the others are called all the same. */
export class Handlers<T> {
  readonly #resource: string;
  readonly #log: Log;
  readonly #change: ChangeHandler<T>[] = [];
  readonly #wentBack: WentBackHandler[] = [];

  constructor(resource: string, log: Log) {
    this.#resource = resource;
    this.#log = log;
  }

  onChange(handler: ChangeHandler<T>): void {
    this.#change.push(handler);
  }

  onWentBack(handler: WentBackHandler): void {
    this.#wentBack.push(handler);
  }

  changed(name: string, object: T | undefined, old: T | undefined): void {
    for (const handler of this.#change)
      this.#call(name, () => {
        handler(name, object, old);
      });
  }

  wentBack(from: string, to: string): void {
    for (const handler of this.#wentBack)
      this.#call(`version ${to}`, () => {
        handler(from, to);
      });
  }

  #call(name: string, handler: () => void): void {
    try {
      handler();
    } catch (error) {
      const fault = faultOf(`${this.#resource}/${name}`, error, 'take the change');
      this.#log.error('a change handler failed', fault);
    }
  }
}
