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
    summary: 'tell whether everything works',
    description:
      'Tells whether everything works: operators and leader, agents, networks and how full they are, findings by weight, versions, and NetworkPolicies that nothing enforces. Exit status: 0 healthy, 1 not healthy, 2 could not tell.',
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
      'Lists the networks: subnets with the length of a node’s block, agents that are ready, how full the fullest subnet is.',
    examples: [
      ['networks', 'all of them'],
      ['networks --sort-by fill', 'the fullest last'],
      ['networks --node node1', 'those that node1 has'],
    ],
  },
  agents: {
    name: 'agents',
    summary: 'list the nodes and how their agents are',
    description:
      'Lists the nodes with their address, tunnel’s end and networks. The state is what the agent last said; Missing is a Node on which no agent has registered.',
    examples: [
      ['agents', 'all of them'],
      ['agents -o wide', 'with the reason of each state'],
      ['agents --search 44.128.0.2', 'which node has this tunnel’s end'],
      ['agents --watch', 'go on, and print what changes'],
    ],
  },
  blocks: {
    name: 'blocks',
    summary: 'list which node holds which block',
    description:
      'Lists the blocks that are not free: held by a node, being taken back, at rest, or held by two nodes.',
    examples: [
      ['blocks', 'of all networks, and the tunnels’ ends'],
      ['blocks dcos', 'of one network'],
      ['blocks --node node1 -o wide', 'of one node, with the parts of its bridges'],
      ['blocks --search 9.0.1.7', 'the block that an address lies in'],
    ],
  },
  containers: {
    name: 'containers',
    summary: 'list the containers on the networks',
    description:
      'Lists pods and Docker’s containers on the networks, as the agents of their nodes tell; needs the role overlaynet-inspector. KERNEL says whether the node’s kernel shows the link. Exit status 1 where nodes did not answer.',
    examples: [
      ['containers', 'all of them'],
      ['containers --namespace shop --network dcos', 'pods of one namespace on one network'],
      ['containers --search web', 'by a part of a name, an id, a MAC or an address'],
    ],
  },
  ip: {
    name: 'ip',
    summary: 'tell whose an address is',
    description:
      'Tells whose an address is: a container, a gateway, a tunnel’s end, a node, free and in whose block, at rest until when, or outside. Exit status: 0 it is ours, 1 it is outside, 2 could not tell.',
    examples: [
      ['ip 9.0.1.7', 'whose is it'],
      ['ip fd01:b::7 -o json', 'the same for programs'],
    ],
  },
  plan: {
    name: 'plan',
    summary: 'tell what a manifest would do before it is applied',
    description:
      'Tells what applying a manifest would do, and changes nothing: what the API server (by a dry run) and the operator would refuse and why, for how many nodes a subnet has blocks and for how many containers each, which nodes would get none, overlaps with networks, nodes’ addresses and routes, Services and pods, what would be reserved for which node, and what would drain or be taken away. The operator’s own rules are gone through in memory, with the cluster as it is. Needs the rights to apply the manifest and to read nodes and overlaynet’s objects; asks no operator. Exit status: 0 nothing speaks against it, 1 something is refused or warned of, 2 could not tell, 3 it would take something away.',
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
      'Reads the config.yaml of a DC/OS cluster, or files of /etc/overlay/config, and prints the OverlayConfig and OverlayNetworks that say the same. With the state of that cluster (--state, what /overlay-master/state answered) also an OverlayReservation for each agent, so that its Node keeps VTEP, MAC and blocks. Asks no cluster and changes nothing, unless --apply is given: then it writes them in the order in which no agent that registers meanwhile gets what is another’s. What is read in another way than it is written, what is not kept and what is refused is said on standard error, with the line. Exit status: 0 all is kept, 1 something is not kept, 2 refused.',
    examples: [
      ['import --config config.yaml', 'show the objects'],
      ['import --config config.yaml | kubectl apply -f -', 'create them'],
      [
        'import --config config.yaml --state state.json --map agents.csv --apply --reserve-for 30d',
        'keep what every agent of the old cluster has',
      ],
      ['import --config master.json --config agent.json', 'the same from the files of a master and an agent'],
    ],
  },
  export: {
    name: 'export',
    summary: 'print the configuration as DC/OS’s config.yaml',
    description:
      'Prints a config.yaml of DC/OS that says what OverlayConfig and the OverlayNetworks say, or the state document with --state; import reads both back. What DC/OS has no words for is said on standard error. Exit status: 0 all is in it, 1 something is not, 2 could not tell.',
    examples: [
      ['export > config.yaml', 'write it'],
      ['export --state > state.json', 'write what every node has'],
    ],
  },
  ui: {
    name: 'ui',
    summary: 'show the page in a browser',
    description:
      'Makes the page of an operator reachable on this machine, opens it in a browser and signs in, until you end the command. The URL holds a word that only this command takes; the token itself stays in the command, which asks for a new one in time.',
    examples: [
      ['ui', 'open the page'],
      ['ui --port 8080 --no-browser', 'print the URL alone, with this port'],
    ],
  },
  ...inspectTexts,
  version: {
    name: 'version',
    summary: 'print the versions of command and operator',
    description: 'Prints the versions of this command and of the operator.',
    examples: [
      ['version', 'both'],
      ['version --client', 'of the command alone, without asking anybody'],
    ],
  },
  completion: {
    name: 'completion',
    summary: 'print a script that completes commands and flags',
    description:
      'Prints a script that completes commands and flags of kubectl-overlay in bash, zsh or fish; or the program that kubectl asks for those of kubectl overlay, whatever the shell.',
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
      'Answers questions about overlaynet: is it healthy, who has which block, whose is this address.',
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
      'certificate that the operator’s is signed by, PEM; default: those that operators publish',
    )
    .addOption(
      new Option(
        '--token <token>',
        'token for the operator; default: one that the API server gives for ten minutes',
      ).env('OVERLAYNET_TOKEN'),
    )
    .option(
      '--service-account <name>',
      'whose token that is; default: overlaynet-viewer, for containers and kernels overlaynet-inspector',
    )
    .option('--system-namespace <name>', 'where overlaynet is installed', 'overlaynet-system')
    .showHelpAfterError('(--help says more)')
    .configureHelp({ showGlobalOptions: true });

const mapHelp = 'lines ADDRESS,NODE: which Node takes the place of which agent; an equal address needs none';

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
  for (const kind of ['networks', 'agents', 'blocks', 'containers'] as const) {
    const command = add(kind);
    if (kind === 'blocks') command.argument('[network]', 'of this network alone');
    else command.option('--network <name>', 'of this network alone');
    command.option('--node <name>', 'of this node alone');
    if (kind === 'containers') command.option('--namespace <name>', 'pods of this namespace alone');
    command
      .option('--search <text>', 'what has this address, lies in this subnet, or has this in a name')
      .addOption(form('wide', 'json', 'yaml', 'name'))
      .option('-w, --watch', 'go on, and print what changes')
      .option('--sort-by <column>', 'the order of the rows')
      .option('--no-headers', 'leave the names of the columns out');
  }
  add('ip').argument('<address>', 'one address, without a length').addOption(form('json', 'yaml'));
  add('plan')
    .requiredOption(
      '-f, --filename <file...>',
      'a manifest, or - for the standard input; may be given several times',
    )
    .option('--server-side', 'it will be applied with kubectl apply --server-side')
    .addOption(form('json'));
  add('import')
    .requiredOption('--config <file...>', 'config.yaml, master.json, agent.json; several say one part each')
    .addOption(
      new Option('-o, --output <form>', 'how it is printed').choices(['yaml', 'json']).default('yaml'),
    )
    .option('--state <file>', 'the state document of the old cluster, /overlay-master/state')
    .option('--map <file>', mapHelp)
    .option('--apply', 'write them into the cluster')
    .option('--reserve-for <time>', 'what no Node has by then is free: 30d, 12h; default: it waits for ever');
  add('export').option('--state', 'print the state document instead of config.yaml');
  add('ui')
    .option('--port <port>', 'on this machine; default: one that is free')
    .option('--no-browser', 'open no browser');
  addInspect(add);
  add('version').option('--client', 'of the command alone').addOption(form('json'));
  add('completion').addArgument(
    new Argument('<shell>', 'of which shell').choices(['bash', 'zsh', 'fish', 'kubectl']),
  );
  return program;
}

const form = (...choices: string[]): Option =>
  new Option('-o, --output <form>', 'how it is printed; default: a table for people').choices(choices);
