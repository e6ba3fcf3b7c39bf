/**
 * A command line whose processes end with the process that spawns it, even if that is killed. It runs in its own
 * process namespace; when the first process of a namespace ends, the kernel ends the others. Needs root.
 * @param inside start of a command line that runs the rest of it in other namespaces; may be empty
 */
export const bound = (inside: string[], ...argv: string[]): string[] => [
  ...['setpriv', '--pdeathsig', 'KILL', '--', ...inside],
  ...['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--', ...argv],
];
