import { Access, type AccessOptions } from './access.ts';
import { lookUp } from './address.ts';
import { check } from './check.ts';
import { completion, type Shell } from './completion.ts';
import { list, type ListOptions } from './list.ts';
import { terminal } from './output.ts';
import type { PlanOptions } from './plan.ts';
import type { Action } from './program.ts';
import { probe } from './probe.ts';
import { status } from './status.ts';
import { ui } from './ui.ts';
import { traceCommand, type TraceOptions } from './trace.ts';
import { why } from './why.ts';
import { showVersion } from './version.ts';

/** Runs a command. */
export const act: Action = async (name, args, options, program) => {
  const [first] = args;
  const out = terminal();
  if (name === 'completion') {
    out.line(completion(program, first as Shell));
    return 0;
  }
  const access = new Access(options as unknown as AccessOptions);
  try {
    switch (name) {
      case 'status':
        return await status(access, options, out);
      case 'ip':
        return await lookUp(access, first ?? '', options, out);
      case 'ui':
        return await ui(access, options, out);
      case 'check':
        return await check(access, options, out);
      case 'trace':
        return await traceCommand(access, options as unknown as TraceOptions, out);
      case 'bundle': {
        const { bundle } = await import('./bundle.ts');
        return await bundle(access, options, out);
      }
      case 'plan': {
        const { planCommand } = await import('./plan.ts');
        return await planCommand(access, options as unknown as PlanOptions, out);
      }
      case 'probe':
        return await probe(access, options, out);
      case 'why':
        return await why(access, args, options, out);
      case 'version':
        return await showVersion(access, options, out);
      case 'blocks':
        return await list(
          access,
          name,
          { ...(options as unknown as ListOptions), ...(first === undefined ? {} : { network: first }) },
          out,
        );
      case 'import': {
        const { importConfig } = await import('./import.ts');
        return await importConfig(options as unknown as Parameters<typeof importConfig>[0], access, out);
      }
      case 'export': {
        const { exportConfig } = await import('./export.ts');
        return await exportConfig(access, options, out);
      }
      case 'networks':
      case 'agents':
      case 'containers':
        return await list(access, name, options as unknown as ListOptions, out);
      default:
        throw new Error(`no command "${name}"`);
    }
  } finally {
    await access.close();
  }
};
