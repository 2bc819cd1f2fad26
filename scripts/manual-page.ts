import type { Command, Option } from 'commander';

/** What a heading of `--help` is called in manual pages, where that is another name (man-pages(7)). */
const SECTIONS: Readonly<Record<string, string>> = { 'exit codes': 'EXIT STATUS' };

/** A manual page (groff_man(7)) of a program: what `--help` says of it and of each of its commands. */
export function manualPage(program: Command): string {
  const name = program.name();
  const [summary = '', ...more] = program.description().split(/(?<=[:.]) /);
  const lines = [
    `.\\" Made of what ${name} --help says; do not edit.`,
    `.TH ${name.toUpperCase()} 1 "" "${name} ${program.version() ?? ''}" "User Commands"`,
    '.SH NAME',
    `${roff(name)} \\- ${roff(summary.replace(/^\w/, (first) => first.toLowerCase()).replace(/[.:]$/, ''))}`,
    '.SH SYNOPSIS',
    '.nf',
    ...leaves(program).map((command) => `\\fB${roff(pathOf(command))}\\fR ${roff(command.usage())}`),
    '.fi',
    '.SH DESCRIPTION',
    roff([summary, ...more].join(' ')),
    '.SH COMMANDS',
    ...leaves(program).flatMap(section),
    '.SH OPTIONS',
    'Every command takes these.',
    ...program.createHelp().visibleOptions(program).flatMap(entry),
    ...afterHelp(program).flatMap(({ heading, text }) => [
      `.SH ${SECTIONS[heading.toLowerCase()] ?? heading.toUpperCase()}`,
      ...verbatim(text),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

/** The commands that do something, in the order of `--help`. */
function leaves(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function section(command: Command): readonly string[] {
  const help = command.createHelp();
  const aliases = command.aliases();
  const also = aliases.length === 0 ? '' : ` (also: ${aliases.join(', ')})`;
  return [
    `.SS "${roff(`${pathOf(command)}${also}`)}"`,
    roff(`${command.description().replace(/^\w/, (first) => first.toUpperCase())}.`),
    ...command.registeredArguments.flatMap((argument) =>
      tagged(`<${argument.name()}>`, help.argumentDescription(argument)),
    ),
    ...help
      .visibleOptions(command)
      .filter(({ long }) => long !== '--help')
      .flatMap(entry),
    ...afterHelp(command).flatMap(({ heading, text }) => [
      '.PP',
      ...(heading === '' ? [] : [`${roff(heading)}:`]),
      ...verbatim(text),
    ]),
  ];
}

function entry(option: Option): readonly string[] {
  const choices = option.argChoices === undefined ? '' : ` (one of ${option.argChoices.join(', ')})`;
  return tagged(option.flags, option.description + choices);
}

function tagged(term: string, description: string): readonly string[] {
  return ['.TP', `\\fB${roff(term)}\\fR`, roff(description)];
}

/** What was added after a command's help, by its headings: lines that end in a colon before lines that are indented. */
function afterHelp(command: Command): readonly { readonly heading: string; readonly text: string }[] {
  let shown = '';
  command.configureOutput({ writeOut: (text) => (shown += text) }).outputHelp();
  const added = shown.slice(command.helpInformation().length).trim();
  if (added === '') return [];
  return added.split(/\n\n/).map((block) => {
    const [, heading = '', text = block] = /^([A-Z][\w ]*):\n([\s\S]*)$/.exec(block) ?? [];
    return { heading, text };
  });
}

function verbatim(text: string): readonly string[] {
  return ['.PP', '.nf', ...text.split('\n').map(roff), '.fi'];
}

/** Text that is no request and has no escape to roff. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/, '\\&');
}
