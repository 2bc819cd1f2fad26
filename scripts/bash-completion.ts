import type { Command, Option } from 'commander';

/** Arguments that may be files. */
const FILES = ['source'];

/** A completion for bash: commands, options, values where they are known, and files where a value may be one. */
export function bashCompletion(program: Command): string {
  const commands = [...withPaths(program, '')];
  return `# Made of what ${program.name()} --help says; do not edit.

_quay_build() {
  local word=\${COMP_WORDS[COMP_CWORD]} command= commands= options= files= position
  COMPREPLY=()
  for ((position = 1; position < COMP_CWORD; position++)); do
    case $command/\${COMP_WORDS[position]} in
${commands.flatMap(([path, command]) => command.commands.map((each) => step(path, each))).join('\n')}
    esac
  done
  case "$command \${COMP_WORDS[COMP_CWORD - 1]}" in
${commands.flatMap(([path, command]) => values(path, command)).join('\n')}
  esac
  case $command in
${commands.map(([path, command]) => words(path, command)).join('\n')}
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  elif [[ -n $files ]]; then
    compopt -o default
  else
    COMPREPLY=($(compgen -W "$commands" -- "$word"))
  fi
}
complete -F _quay_build ${program.name()}
`;
}

/** A command and those below it, with the names that lead there. */
function* withPaths(command: Command, path: string): Generator<readonly [string, Command]> {
  yield [path, command];
  for (const each of command.commands) yield* withPaths(each, `${path}/${each.name()}`);
}

function step(path: string, command: Command): string {
  const patterns = [command.name(), ...command.aliases()].map((name) => `${path}/${name}`);
  return `      ${patterns.join(' | ')}) command=${path}/${command.name()} ;;`;
}

/** What follows an option that takes a value. */
function values(path: string, command: Command): readonly string[] {
  const taking = command.options.filter(({ required }) => required);
  const line = (options: readonly Option[], what: string): readonly string[] => {
    const flags = options.flatMap(({ short, long }) => [long, short].filter((flag) => flag !== undefined));
    return flags.length === 0
      ? []
      : [`    ${flags.map((flag) => `'${path} ${flag}'`).join(' | ')}) ${what}return ;;`];
  };
  const chosen = taking.filter(({ argChoices }) => argChoices !== undefined);
  const files = taking.filter(({ flags }) => /file|path|folder/.test(flags));
  const others = taking.filter((option) => !chosen.includes(option) && !files.includes(option));
  return [
    ...chosen.flatMap((option) => {
      const choices = option.argChoices?.join(' ') ?? '';
      return line([option], `COMPREPLY=($(compgen -W '${choices}' -- "$word")); `);
    }),
    ...line(files, 'compopt -o default; '),
    ...line(others, ''),
  ];
}

function words(path: string, command: Command): string {
  const flags = command.createHelp().visibleOptions(command);
  const set = [
    ...(command.commands.length === 0
      ? []
      : [`commands='${command.commands.map((each) => each.name()).join(' ')}'`]),
    `options='${flags.flatMap(({ long }) => long ?? []).join(' ')}'`,
    ...(command.registeredArguments.some((each) => FILES.includes(each.name())) ? ['files=yes'] : []),
  ];
  return `    ${path === '' ? "''" : path}) ${set.join(' ')} ;;`;
}
