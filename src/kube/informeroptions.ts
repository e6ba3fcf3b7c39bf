import type { Log } from '../log.ts';
import type { BackoffOptions } from './wait.ts';

export interface InformerOptions {
  /** Selects one object: `metadata.name=NAME`. */
  fieldSelector?: string;
  log?: Log;
  /** Delays between attempts while the API server is unreachable or refuses. Lists are at least `baseMs` apart. */
  backoff?: BackoffOptions;
  /** Called with the reason of each attempt that failed. */
  onFailure?: (error: unknown) => void;
}
