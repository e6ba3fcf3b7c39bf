import { hostname } from 'node:os';
import { Command, Option } from 'commander';
import { levels, type Level } from '../log.ts';

export interface Flags {
  kubeconfig?: string;
  listen: string;
  identity: string;
  namespace: string;
  logLevel: Level;
}

/** Prints help or one line about a wrong flag, and ends the process, as commander does. */
export function parseFlags(argv: readonly string[]): Flags {
  return new Command('operator')
    .description("Holds overlaynet's master allocation: every node's subnets and tunnel endpoint.")
    .option(
      '--kubeconfig <file>',
      'how to reach the API server; default: KUBECONFIG, else from inside the cluster',
    )
    .option('--listen <host:port>', 'where state, metrics and health are served', '127.0.0.1:9180')
    .option('--identity <name>', 'this operator in the Lease', `${hostname()}_${process.pid}`)
    .option('--namespace <name>', 'where the Lease is', 'overlaynet-system')
    .addOption(
      new Option('--log-level <level>', 'least severe level that is printed').choices(levels).default('info'),
    )
    .allowExcessArguments(false)
    .parse(argv)
    .opts<Flags>();
}
