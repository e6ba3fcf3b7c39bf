import { Argument, Command, Option } from 'commander';
import { addInspect, inspectTexts } from './inspect.ts';

/** A command's name, arguments and flags as the user gave them. @returns the exit status */
export type Action = (
  name: string,
  args: string[],
  options: Record<string, unknown>,
  program: Command,
) => Promise<number>;

/** What a command is, as its help and docs/reference/command.md say. */
interface Text {
  name: string;
  summary: string;
  description: string;
  examples: [line: string, what: string][];
}

const texts: Record<string, Text> = {
  status: {
    name: 'status',
    summary: 'show whether everything works',
    description:
      'Shows whether everything works: operators and leader, agents, networks and how full they are, findings (the gravest first), versions, and NetworkPolicies that nothing enforces. Exit status: 0 healthy, 1 not healthy, 2 unknown.',
    examples: [
      ['status', 'look once'],
      ['status --wait 5m', 'wait until it is healthy, five minutes at most'],
      ['status -o json', 'the same for programs'],
    ],
  },
  networks: {
    name: 'networks',
    summary: 'list the networks and how full they are',
    description:
      'Lists the networks: subnets with the prefix length of a node’s block, number of ready agents, how full the fullest subnet is.',
    examples: [
      ['networks', 'all of them'],
      ['networks --sort-by fill', 'the fullest last'],
      ['networks --node node1', 'the networks of node1'],
    ],
  },
  agents: {
    name: 'agents',
    summary: 'list the nodes and the state of their agents',
    description:
      'Lists the nodes with their addresses, VTEP and networks. The state is that of the agent’s last report; Missing means that no agent has registered for the Node.',
    examples: [
      ['agents', 'all of them'],
      ['agents -o wide', 'with the reason of each state'],
      ['agents --search 44.128.0.2', 'which node has this VTEP'],
      ['agents --watch', 'keep running, and print changes'],
    ],
  },
  blocks: {
    name: 'blocks',
    summary: 'list which node holds which block',
    description:
      'Lists the blocks that are not free: held by a node, reserved, being taken back, at rest, or held by two nodes.',
    examples: [
      ['blocks', 'of all networks, and the VTEPs'],
      ['blocks dcos', 'of one network'],
      ['blocks --node node1 -o wide', 'of one node, with the parts of its bridges'],
      ['blocks --search 9.0.1.7', 'the block that an address lies in'],
    ],
  },
  containers: {
    name: 'containers',
    summary: 'list the containers on the networks',
    description:
      'Lists pods and Docker’s containers on the networks, as their nodes’ agents report them. KERNEL: whether the node’s kernel shows the link. Needs the role overlaynet-inspector. Exit status: 1 if some nodes did not answer.',
    examples: [
      ['containers', 'all of them'],
      ['containers --namespace shop --network dcos', 'pods of one namespace on one network'],
      ['containers --search web', 'by a part of a name, an id, a MAC or an address'],
    ],
  },
  ip: {
    name: 'ip',
    summary: 'show what has an address',
    description:
      'Shows what has an address: a container, a gateway, a VTEP or a node; or that it is free (and in which node’s block), at rest (and until when), or outside the overlays. Exit status: 0 inside, 1 outside, 2 unknown.',
    examples: [
      ['ip 9.0.1.7', 'what has this address'],
      ['ip fd01:b::7 -o json', 'the same for programs'],
    ],
  },
  plan: {
    name: 'plan',
    summary: 'show what a manifest would do, before you apply it',
    description:
      'Shows what applying a manifest would do, and changes nothing: what the API server (by a dry run) and the operator would refuse, and why; for how many nodes a subnet has blocks, and how many containers fit on each; which nodes would get no block; overlaps with networks, nodes’ addresses and routes, Services and pods; what would be reserved for which node; what would drain or be taken away. The command runs the operator’s own rules in memory, on the cluster’s present objects. Needs the rights to apply the manifest and to read nodes and overlaynet’s objects; needs no operator. Exit status: 0 no problem, 1 a refusal or a warning, 2 unknown, 3 something would be taken away.',
    examples: [
      ['plan -f overlay.yaml', 'before kubectl apply -f overlay.yaml'],
      ['plan -f overlay.yaml -f networks.yaml', 'several files as one'],
      ['plan -f - < overlay.yaml', 'from the standard input'],
      ['plan -f overlay.yaml --server-side', 'before kubectl apply --server-side'],
    ],
  },
  import: {
    name: 'import',
    summary: 'turn a configuration of DC/OS into objects',
    description:
      'Reads the config.yaml of a DC/OS cluster, or files of /etc/overlay/config, and prints an equivalent OverlayConfig and OverlayNetworks. With the state document of that cluster (--state, from /overlay-master/state) it also prints an OverlayReservation for each agent, so that its Node keeps VTEP, MAC and blocks. Without --apply it contacts no cluster and changes nothing. With --apply it writes the objects, in an order in which no agent that registers meanwhile gets what is reserved for another. Corrected mistakes, values that are not kept and refusals go to standard error, with the line. Exit status: 0 everything is kept, 1 something is not kept, 2 refused.',
    examples: [
      ['import --config config.yaml', 'show the objects'],
      ['import --config config.yaml | kubectl apply -f -', 'create them'],
      [
        'import --config config.yaml --state state.json --map agents.csv --apply --reserve-for 30d',
        'keep the VTEP and the blocks of every agent of the old cluster',
      ],
      ['import --config master.json --config agent.json', 'the same from the files of a master and an agent'],
    ],
  },
  export: {
    name: 'export',
    summary: 'print the configuration as DC/OS’s config.yaml',
    description:
      'Prints OverlayConfig and the OverlayNetworks as a config.yaml of DC/OS, or with --state the state document; import reads both. Settings that DC/OS does not have are named on standard error. Exit status: 0 everything is in it, 1 something is not, 2 unknown.',
    examples: [
      ['export > config.yaml', 'write it'],
      ['export --state > state.json', 'write the VTEP and the blocks of every node'],
    ],
  },
  ui: {
    name: 'ui',
    summary: 'show the page in a browser',
    description:
      'Makes an operator’s page reachable on this machine, opens it in a browser and signs in, until you end the command. The URL holds a password that only this command accepts. The token itself stays in the command, which renews it in time.',
    examples: [
      ['ui', 'open the page'],
      ['ui --port 8080 --no-browser', 'only print the URL, with this port'],
    ],
  },
  ...inspectTexts,
  version: {
    name: 'version',
    summary: 'print the versions of command and operator',
    description: 'Prints the versions of this command and of the operator.',
    examples: [
      ['version', 'both'],
      ['version --client', 'of the command only, without a request'],
    ],
  },
  completion: {
    name: 'completion',
    summary: 'print a script that completes commands and flags',
    description:
      'Prints a script that completes commands and flags of kubectl-overlay in bash, zsh or fish; or the program that kubectl runs, in any shell, to complete those of kubectl overlay.',
    examples: [
      ['completion bash > /etc/bash_completion.d/kubectl-overlay', 'for all users of bash'],
      ['completion fish | source', 'in this fish'],
      [
        'completion kubectl > kubectl_complete-overlay && chmod +x kubectl_complete-overlay',
        'for kubectl overlay itself; the file has to be on your PATH',
      ],
    ],
  },
};

const name = 'kubectl-overlay';

const examplesText = (examples: Text['examples']): string =>
  `\nExamples:\n${examples.map(([line, what]) => `  # ${what}\n  ${name.replace('-', ' ')} ${line}`).join('\n')}\n`;

/** The command without its commands: the flags that all of them take. */
const bareProgram = (version: string): Command =>
  new Command(name)
    .description(
      'Answers questions about overlaynet: is it healthy, which node has which block, what has this address.',
    )
    .version(version, '--version', 'print the version of the command')
    .option('--kubeconfig <file>', 'how to reach the API server; default: KUBECONFIG, else ~/.kube/config')
    .option('--context <name>', 'context of the kubeconfig')
    .addOption(
      new Option('--server <url>', 'address of an operator; default: through the API server').env(
        'OVERLAYNET_SERVER',
      ),
    )
    .option(
      '--ca-file <file>',
      'CA certificate of the operator’s certificate, PEM; default: the certificates that operators publish',
    )
    .addOption(
      new Option(
        '--token <token>',
        'token for the operator; default: one from the API server, for ten minutes',
      ).env('OVERLAYNET_TOKEN'),
    )
    .option(
      '--service-account <name>',
      'ServiceAccount of that token; default: overlaynet-viewer, for containers and kernels overlaynet-inspector',
    )
    .option('--system-namespace <name>', 'where overlaynet is installed', 'overlaynet-system')
    .showHelpAfterError('(see --help)')
    .configureHelp({ showGlobalOptions: true });

const mapHelp =
  'lines ADDRESS,NODE: the Node that replaces the agent; not needed if the Node has the same address';

/** Adds the commands that list rows. */
function addLists(add: (key: keyof typeof texts) => Command): void {
  for (const kind of ['networks', 'agents', 'blocks', 'containers'] as const) {
    const command = add(kind);
    if (kind === 'blocks') command.argument('[network]', 'only of this network');
    else command.option('--network <name>', 'only of this network');
    command.option('--node <name>', 'only of this node');
    if (kind === 'containers') command.option('--namespace <name>', 'only pods of this namespace');
    command
      .option(
        '--search <text>',
        'only rows with this address, inside this subnet, or with this text in a name',
      )
      .addOption(form('wide', 'json', 'yaml', 'name'))
      .option('-w, --watch', 'keep running, and print changes')
      .option('--sort-by <column>', 'column to sort by')
      .option('--no-headers', 'print no column names');
  }
}

/** The command with all its commands; `action` does their work. */
export function createProgram(version: string, action: Action): Command {
  const program = bareProgram(version);
  const add = (key: keyof typeof texts): Command => {
    const { name: word, summary, description, examples } = texts[key] as Text;
    return program
      .command(word)
      .summary(summary)
      .description(description)
      .allowExcessArguments(false)
      .addHelpText('after', examplesText(examples))
      .action(async (...given: unknown[]) => {
        const command = given.at(-1) as Command;
        process.exitCode = await action(word, command.args, command.optsWithGlobals(), program);
      });
  };
  add('status')
    .option('--wait <time>', 'how long to wait until it is healthy: 90s, 5m')
    .addOption(form('json'));
  addLists(add);
  add('ip').argument('<address>', 'one address, without a prefix length').addOption(form('json', 'yaml'));
  add('plan')
    .requiredOption(
      '-f, --filename <file...>',
      'a manifest, or - for the standard input; may be given several times',
    )
    .option('--server-side', 'it will be applied with kubectl apply --server-side')
    .addOption(form('json'));
  add('import')
    .requiredOption(
      '--config <file...>',
      'config.yaml, master.json, agent.json; several files give one part each',
    )
    .addOption(
      new Option('-o, --output <form>', 'how it is printed').choices(['yaml', 'json']).default('yaml'),
    )
    .option('--state <file>', 'the state document of the old cluster, /overlay-master/state')
    .option('--map <file>', mapHelp)
    .option('--apply', 'write them into the cluster')
    .option(
      '--reserve-for <time>',
      'free what no Node has by then: 30d, 12h; default: reserve it without limit',
    );
  add('export').option('--state', 'print the state document instead of config.yaml');
  add('ui')
    .option('--port <port>', 'port on this machine; default: a free one')
    .option('--no-browser', 'open no browser');
  addInspect(add);
  add('version').option('--client', 'only of the command').addOption(form('json'));
  add('completion').addArgument(
    new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish', 'kubectl']),
  );
  return program;
}

const form = (...choices: string[]): Option =>
  new Option('-o, --output <form>', 'how it is printed; default: a table for people').choices(choices);
