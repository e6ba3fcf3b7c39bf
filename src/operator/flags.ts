import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { isIP } from 'node:net';
import { parseDuration } from '../api/duration.ts';
import { formats, levels, type Format, type Level } from '../log.ts';

export interface Flags {
  kubeconfig?: string;
  listen: string;
  tlsCert?: string;
  tlsKey?: string;
  addresses: string[];
  identity: string;
  namespace: string;
  firstConfig?: string;
  agentPort: number;
  agentTokenFile?: string;
  page: string;
  /** Milliseconds, as are the two below. */
  leaseDuration: number;
  renewDeadline: number;
  retryPeriod: number;
  logLevel: Level;
  logFormat: Format;
}

const commandOf = (argv: readonly string[]): Command =>
  new Command('operator')
    .description("Holds overlaynet's master allocation: every node's subnets and tunnel endpoint.")
    .option(
      '--kubeconfig <file>',
      'how to reach the API server; default: KUBECONFIG, else from inside the cluster',
    )
    .option(
      '--listen <host:port>',
      'state document, metrics, health: in the clear on loopback, else HTTPS and with a token',
      '127.0.0.1:9180',
    )
    .option('--tls-cert <file>', 'certificate for HTTPS, PEM; default: one signed by itself')
    .option('--tls-key <file>', 'its key, PEM')
    .addOption(
      new Option('--addresses <list>', "this node's addresses, for the certificate that is signed by itself")
        .env('NODE_IPS')
        .default([])
        .argParser(addressList),
    )
    .option('--identity <name>', 'this operator in the Lease', `${hostname()}_${process.pid}`)
    .option('--namespace <name>', 'where the Lease is', 'overlaynet-system')
    .option(
      '--first-config <file>',
      'OverlayConfig to create where there never was one, YAML; default: DC/OS’s values',
    )
    .option('--agent-port <port>', 'where agents listen, to ask them for their containers', port, 9181)
    .option(
      '--agent-token-file <file>',
      'token that is shown to agents, for their audience, overlaynet-agent; default: none',
    )
    .addOption(
      new Option('--page <directory>', 'files of the page under /ui/').default(
        join(dirname(argv[1] ?? ''), 'ui'),
        'ui beside the program',
      ),
    )
    .option('--lease-duration <time>', 'how long others wait for a leader that does not renew', time, 15_000)
    .option('--renew-deadline <time>', 'a leader that could not renew for so long gives up', time, 10_000)
    .option('--retry-period <time>', 'between two attempts to take the Lease or renew it', time, 2_000)
    .addOption(
      new Option(
        '--log-level <level>',
        'least severe level that is printed; SIGUSR1 switches to debug and back',
      )
        .choices(levels)
        .default('info'),
    )
    .addOption(
      new Option('--log-format <format>', 'text or json, one line each')
        .choices(formats)
        .env('LOG_FORMAT')
        .default('text'),
    )
    .allowExcessArguments(false);

/** Prints help, or one line about a wrong flag, and ends the process, as commander does. */
export function parseFlags(argv: readonly string[]): Flags {
  const command = commandOf(argv).parse(argv);
  const flags = command.opts<Flags>();
  const { leaseDuration, renewDeadline, retryPeriod } = flags;
  if (renewDeadline >= leaseDuration) {
    command.error(
      `error: --renew-deadline (${renewDeadline} ms) must be shorter than --lease-duration (${leaseDuration} ms): ` +
        'else another operator leads before this one gives up',
    );
  }
  if (retryPeriod >= renewDeadline) {
    command.error(
      `error: --retry-period (${retryPeriod} ms) must be shorter than --renew-deadline (${renewDeadline} ms): ` +
        'else a leader gives up before its second attempt',
    );
  }
  return flags;
}

/** Parses a Go duration to milliseconds: `15s`. */
function time(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0) throw new InvalidArgumentError(`"${text}" is not a time such as 15s.`);
  return ms;
}

function port(text: string): number {
  const number = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > 65_535)
    throw new InvalidArgumentError(`"${text}" is not a port from 1 to 65535.`);
  return number;
}

/** Parses a list of addresses: `172.17.0.2,fd00::2`. */
function addressList(list: string): string[] {
  const addresses = list.split(',').filter((part) => part !== '');
  for (const text of addresses) {
    if (isIP(text) === 0 || text.includes('%'))
      throw new InvalidArgumentError(`"${text}" is not an IP address.`);
  }
  return addresses;
}
