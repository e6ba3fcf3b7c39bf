import { join } from 'node:path';
import { Command, Option } from 'commander';
import { defaultBinDir, defaultDirectories, type HostFlags } from '../host/directories.ts';
import type { CleanupFlags } from './cleanup.ts';
import { FlagError, parseRunFlags, type RunFlags } from './flags.ts';
import { sayFatal } from '../log.ts';

const program = new Command('agent')
  .description("overlaynet's agent: programs this node's kernel and CNI with the overlay networks")
  .showHelpAfterError(false)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

const directories = (command: Command) =>
  command
    .option('--state-dir <dir>', 'where the checkpoint is kept', defaultDirectories.stateDir)
    .option('--cni-conf-dir <dir>', 'one conflist per network', defaultDirectories.cniConfDir)
    .option(
      '--cni-net-dir <dir>',
      'where container runtimes look for a conflist',
      defaultDirectories.cniNetDir,
    )
    .option('--lease-dir <dir>', 'leases of addresses, a directory per network', defaultDirectories.leaseDir)
    .option(
      '--run-dir <dir>',
      'the socket for the CNI plugin, and other files that do not outlive a boot',
      defaultDirectories.runDir,
    );

const dockerSocket = () =>
  new Option('--docker-socket <path>', 'socket of the Docker engine whose networks the agent keeps').env(
    'DOCKER_SOCKET',
  );

directories(program.command('run').description('register this node and keep its data path as allocated'))
  .addOption(new Option('--node <name>', 'name of this Node').env('NODE_NAME'))
  .addOption(new Option('--addresses <list>', "this node's addresses, one of each family").env('NODE_IPS'))
  .option('--kubeconfig <file>', 'default: KUBECONFIG, else the cluster that the pod is in')
  .option(
    '--listen <address>',
    'state document, metrics, health: in the clear on loopback, else HTTPS and with a token; UDP of the same port answers probes',
    '127.0.0.1:9181',
  )
  .option('--tls-cert <file>', 'certificate for HTTPS, PEM; default: one signed by itself')
  .option('--tls-key <file>', 'its key, PEM')
  .addOption(dockerSocket())
  .option('--resync <duration>', 'longest time between complete comparisons of kernel and files', '60s')
  .addOption(
    new Option(
      '--conflist-mode <mode>',
      'permissions of the conflists; default: files keep theirs, a new one gets 0644',
    ).env('CONFLIST_MODE'),
  )
  .option(
    '--cni-plugin <file>',
    'the plugin that sweeps once at the start',
    join(defaultBinDir, 'overlaynet'),
  )
  .option('--log-level <level>', 'error, warn, info, debug; SIGUSR1 switches to debug and back', 'info')
  .addOption(
    new Option('--log-format <format>', 'text or json, one line each').env('LOG_FORMAT').default('text'),
  )
  .action(async (flags: RunFlags) => {
    const options = parseRunFlags(flags);
    const { runAgent } = await import('./run.ts');
    await runAgent(options);
  });

const host = (command: Command) =>
  command
    .option('--host-root <dir>', "the host's root directory, as it is mounted here", '/')
    .option('--cni-bin-dir <dir>', 'on the host: where container runtimes look for plugins', defaultBinDir);

host(
  program
    .command('install')
    .description('prepare the host once, with privileges: modules, sysctls, drop-ins, CNI plugins'),
)
  .option('--plugins <dir>', 'the CNI plugins to be copied there', defaultBinDir)
  .action(async (flags: HostFlags & { plugins: string }) => {
    const { install } = await import('../host/install.ts');
    await install(flags);
  });

host(
  directories(
    program.command('cleanup').description('remove everything that the agent ever made on this node'),
  ),
)
  .addOption(dockerSocket())
  .addOption(
    new Option(
      '--check',
      "remove nothing: list overlaynet's objects on this node; exit status 1 if there are any",
    ).conflicts('dryRun'),
  )
  .option('--dry-run', 'remove nothing: print what would be removed')
  .action(async (flags: CleanupFlags) => {
    const { cleanup } = await import('./cleanup.ts');
    await cleanup(flags);
  });

try {
  await program.parseAsync();
} catch (error) {
  sayFatal('agent', error);
  process.exitCode = error instanceof FlagError ? 2 : 1;
}
