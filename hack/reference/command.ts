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

This command answers everyday questions about overlaynet. \`npm run build\` makes it as one file, \`dist/kubectl-overlay\`. Copy it to a
directory on your PATH; then both \`kubectl overlay\` and \`kubectl-overlay\` run it. It needs Node 22.19 or later.

The command finds an operator by itself. It uses your kubeconfig (contexts and exec plugins included), and forwards a port of the operator's
pod through the API server. It accepts only a certificate that operators have published in the ConfigMap \`overlaynet-operator\`. It shows the
operator a token of the ServiceAccount \`overlaynet-viewer\` (for containers and kernels \`overlaynet-inspector\`), which it gets from the
API server for ten minutes. Users who are not administrators need the ClusterRole \`overlaynet-command\`, bound in \`overlaynet-system\`
([rights.md](../rights.md#overlaynet-command)):

\`\`\`sh
kubectl create rolebinding -n overlaynet-system alice --clusterrole=overlaynet-command --user=alice
\`\`\`

With a lab: \`set -a; . .lab/overlaynet/env; set +a\`, then \`kubectl overlay\` asks the lab's operators.

| exit status | what it means |
| ----------- | ------------- |
| 0 | the answer is complete, and everything is well |
| 1 | the answer is complete, and something is not well: not healthy, outside, nodes that did not answer |
| 2 | the command has no answer; the line below the error says what to do |
| 3 | only \`plan\`: applying the manifest would take something away |

Tables are for people, \`-o json\` and \`-o yaml\` have every field ([http.md](http.md)). Colours appear only on a terminal, and never with
\`NO_COLOR\`. Control characters in names are written out, such as \`\\u001b\`.

Each section has the command's help, and its output in a lab of three nodes with the pods shop/web-0 and shop/db-0.`;

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
