import type { Command } from 'commander';

/**
 * The shells. `kubectl` prints a program that kubectl runs, because kubectl's completion does not know its plugins' words.
 */
export const shells = ['bash', 'zsh', 'fish', 'kubectl'] as const;
export type Shell = (typeof shells)[number];

interface Words {
  name: string;
  about: string;
  words: string[];
}

const optionsOf = (command: Command): string[] =>
  command.options.flatMap(({ long }) => (long === undefined ? [] : [long]));

/** A script that completes commands and flags. It makes no requests, so it does not complete names of objects. */
export function completion(program: Command, shell: Shell): string {
  const shared = [...optionsOf(program), '--help'];
  const commands = program.commands.map((command): Words => ({
    name: command.name(),
    about: command.summary(),
    words: [
      ...command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices),
      ...optionsOf(command),
      ...shared,
    ],
  }));
  const scripts = { bash, zsh, fish, kubectl };
  return scripts[shell](program.name(), commands, shared);
}

function bash(name: string, commands: Words[], shared: string[]): string {
  const cases = commands.map((one) => `      ${one.name}) words="${one.words.join(' ')}" ;;`);
  return `# bash completion of ${name}: source <(${name} completion bash)
_kubectl_overlay() {
  local words="" command="" at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case "\${COMP_WORDS[at]}" in -*) ;; *) command="\${COMP_WORDS[at]}"; break ;; esac
  done
  case "$command" in
      "") words="${[...commands.map((one) => one.name), ...shared].join(' ')}" ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _kubectl_overlay ${name}`;
}

function zsh(name: string, commands: Words[], shared: string[]): string {
  const list = commands.map((one) => `    '${one.name}:${one.about.replaceAll("'", '’')}'`);
  const cases = commands.map((one) => `    ${one.name}) compadd -- ${one.words.join(' ')} ;;`);
  return `#compdef ${name}
# zsh completion of ${name}: source <(${name} completion zsh)
_kubectl_overlay() {
  local -a commands
  commands=(
${list.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    compadd -- ${shared.join(' ')}
    return
  fi
  case "\${words[2]}" in
${cases.join('\n')}
  esac
}
compdef _kubectl_overlay ${name}`;
}

function fish(name: string, commands: Words[], shared: string[]): string {
  const line = (condition: string, words: string, about = '') =>
    `complete -c ${name} -f -n '${condition}' -a '${words}'${about === '' ? '' : ` -d '${about.replaceAll("'", '’')}'`}`;
  return [
    `# fish completion of ${name}: ${name} completion fish | source`,
    ...commands.map((one) => line('__fish_use_subcommand', one.name, one.about)),
    line('__fish_use_subcommand', shared.join(' ')),
    ...commands.map((one) => line(`__fish_seen_subcommand_from ${one.name}`, one.words.join(' '))),
  ].join('\n');
}

/** The program for kubectl. It gets the words after `kubectl overlay`; the last one is the one being typed. */
function kubectl(name: string, commands: Words[], shared: string[]): string {
  const plugin = name.replace('kubectl-', '');
  const cases = commands.map((one) => `  ${one.name}) words="${one.words.join(' ')}" ;;`);
  return `#!/bin/sh
# kubectl asks this program to complete \`kubectl ${plugin}\`: put it on your PATH as kubectl_complete-${plugin}
command=
while [ $# -gt 1 ]; do
  case "$1" in -*) ;; *) [ -n "$command" ] || command=$1 ;; esac
  shift
done
case "$command" in
  "") words="${[...commands.map((one) => one.name), ...shared].join(' ')}" ;;
${cases.join('\n')}
  *) words= ;;
esac
for word in $words; do case "$word" in "$1"*) echo "$word" ;; esac; done
echo :4 # no names of files`;
}
