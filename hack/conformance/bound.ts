/**
 * A command line that ends, with all that it starts, when the process that spawns it does, also when that is killed: it runs in a
 * process namespace, whose first process the kernel ends then. Needs root.
 * @param inside start of a command line that runs the rest of it in other namespaces; may be empty
 */
export const bound = (inside: string[], ...argv: string[]): string[] => [
  ...['setpriv', '--pdeathsig', 'KILL', '--', ...inside],
  ...['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--', ...argv],
];
