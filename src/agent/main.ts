import { Command, Option } from 'commander';
import { FlagError, parseRunFlags, type Directories, type RunFlags } from './flags.ts';

const program = new Command('agent')
  .description("overlaynet's agent: programs this node's kernel and CNI with the overlay networks")
  .showHelpAfterError(false)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

const directories = (command: Command) =>
  command
    .option('--state-dir <dir>', 'where the checkpoint is kept', '/var/lib/overlaynet')
    .option('--cni-conf-dir <dir>', 'one conflist per network', '/etc/cni/overlaynet.d')
    .option('--cni-net-dir <dir>', 'where container runtimes look for a conflist', '/etc/cni/net.d');

directories(program.command('run').description('register this node and keep its data path as allocated'))
  .addOption(new Option('--node <name>', 'name of this Node').env('NODE_NAME'))
  .addOption(new Option('--addresses <list>', "this node's addresses, one of each family").env('NODE_IPS'))
  .option('--kubeconfig <file>', 'default: KUBECONFIG, else the cluster that the pod is in')
  .option('--listen <address>', 'state document, metrics, health', '127.0.0.1:9181')
  .option('--resync <duration>', 'how often kernel and files are compared with what they should be', '60s')
  .option('--log-level <level>', 'error, warn, info, debug', 'info')
  .action(async (flags: RunFlags) => {
    const options = parseRunFlags(flags);
    const { runAgent } = await import('./run.ts');
    await runAgent(options);
  });

program
  .command('install')
  .description('prepare the system once, with privileges: kernel modules and sysctls')
  .action(async () => {
    const { install } = await import('./install.ts');
    await install();
  });

directories(
  program.command('cleanup').description('remove everything that the agent ever made on this node'),
).action(async (flags: Directories) => {
  const { cleanup } = await import('./cleanup.ts');
  await cleanup(flags);
});

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`agent: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof FlagError ? 2 : 1;
}
