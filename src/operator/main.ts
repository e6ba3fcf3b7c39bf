import { setFlagsFromString } from 'node:v8';
import { createLog, followSignal, sayFatal } from '../log.ts';
import { parseFlags } from './flags.ts';
import { startOperator } from './run.ts';

/**
 * Keeps the heap small. By default V8 lets it grow to three times the live data, or more, before it collects garbage.
 */
setFlagsFromString('--heap-growing-percent=100');

async function main(): Promise<void> {
  const flags = parseFlags(process.argv);
  const log = createLog({ level: flags.logLevel, component: 'operator', format: flags.logFormat });
  followSignal(log);
  const operator = await startOperator(flags, log);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info('stopping', { signal });
      void operator.stop().then(() => process.exit(0));
    });
  }
  await operator.run();
}

main().catch((error: unknown) => {
  sayFatal('operator', error);
  process.exit(1);
});
