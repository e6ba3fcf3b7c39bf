import type { Command } from 'commander';
import { transcriptOf, type Typed } from './transcript.ts';

/** A command's help, formatted for 100 columns. */
function helpOf(command: Command): string {
  let text = '';
  command
    .configureOutput({
      writeOut: (part) => (text += part),
      getOutHelpWidth: () => 100,
      getOutHasColors: () => false,
    })
    .outputHelp();
  return text.trimEnd();
}

const head = `# kubectl overlay

<!-- made of the command's own help, and of what it printed in a lab, by \`npm run reference\`: do not edit -->

One command answers the questions of a working day. \`npm run build\` makes it, one file: \`dist/kubectl-overlay\`. Copied to a directory
on your PATH it is \`kubectl overlay\` (and \`kubectl-overlay\`); it needs Node 22.19 or later.

It finds an operator by itself: a port of its pod is forwarded through the API server, with your kubeconfig (contexts and exec plugins
included); the operator's certificate must be one that operators have published in the ConfigMap \`overlaynet-operator\`; and the token
that it shows is one of the ServiceAccount \`overlaynet-viewer\` (for containers and kernels \`overlaynet-inspector\`), asked for by TokenRequest, for
ten minutes. Users who are no administrators need the ClusterRole \`overlaynet-command\`, bound in \`overlaynet-system\`
([rights.md](../rights.md#overlaynet-command)):

\`\`\`sh
kubectl create rolebinding -n overlaynet-system alice --clusterrole=overlaynet-command --user=alice
\`\`\`

With a lab: \`set -a; . .lab/overlaynet/env; set +a\`, and \`kubectl overlay\` asks its operators.

| exit status | what it means |
| ----------- | ------------- |
| 0 | all is said, and all is well |
| 1 | all is said, and something is not: not healthy, outside, nodes that did not answer |
| 2 | it could not tell; the line below the error says what to do |
| 3 | of \`plan\` alone: applying the manifest would take something away |

Tables are for people, \`-o json\` and \`-o yaml\` have every field ([http.md](http.md)). Colours appear on a terminal alone, and never with
\`NO_COLOR\`. What a terminal would obey in a name is written out: \`\\u001b\`.

Below each help stands what the command printed in a lab of three nodes, with the pods shop/web-0 and shop/db-0.`;

/** Returns the text of docs/reference/command.md. */
export function commandPage(program: Command, typed: readonly Typed[]): string {
  const sections = program.commands
    .filter((command) => command.name() !== 'help')
    .map((command) => {
      // the options of all commands are listed once
      command.configureHelp({ showGlobalOptions: false });
      return `## ${command.name()}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`${transcriptOf(command.name(), typed)}`;
    });
  return `${[head, `## All commands\n\n\`\`\`text\n${helpOf(program)}\n\`\`\``, ...sections].join('\n\n')}\n`;
}
