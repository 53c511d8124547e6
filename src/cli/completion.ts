/**
 * `riata completion bash|zsh|fish`: a script that completes commands, options, and what options choose among. It is made from the
 * outline of the command line and starts no process when it completes, so that nothing is to be waited for.
 */
import type { Command, Globals } from './command.js';
import type { Shell } from './commands/completion.js';
import { EXIT } from './exit.js';
import { type CommandLine, type CommandOutline, type OptionOutline, outline } from './outline.js';

export function completion(line: CommandLine): Command<Globals & { readonly shell: Shell }> {
  return async (args, cli) => {
    await cli.screen.write(completionScript(line, args.shell));
    return EXIT.ok;
  };
}

/** A place on the command line: what may stand there. */
interface Place {
  /** `riata queue list` */
  readonly at: string;
  readonly words: readonly { readonly name: string; readonly describe: string }[];
  /** Those of every command included. */
  readonly options: readonly OptionOutline[];
}

export function completionScript(line: CommandLine, shell: Shell): string {
  const root = outline(line);
  const places = placesOf(root, root.options);
  switch (shell) {
    case 'bash':
      return bash(places);
    case 'zsh':
      return zsh(places);
    case 'fish':
      return fish(places);
  }
}

function placesOf(command: CommandOutline, globals: readonly OptionOutline[]): Place[] {
  const at = ['riata', ...command.path].join(' ');
  const words = command.commands.map(({ path, describe }) => ({ name: path.at(-1)!, describe }));
  const choices = command.positionals.flatMap((positional) => positional.choices.map((name) => ({ name, describe: '' })));
  const options = command.path.length === 0 ? globals : [...command.options, ...globals];
  return [{ at, words: [...words, ...choices], options }, ...command.commands.flatMap((below) => placesOf(below, globals))];
}

/** `--priority`, and `-p` where there is one. */
function spellings({ name, alias }: OptionOutline): string[] {
  return alias === undefined ? [`--${name}`] : [`--${name}`, `-${alias}`];
}

/** `riata send:--priority`, as the scripts compare it, of options that `wanted` picks. */
function keys(places: readonly Place[], wanted: (option: OptionOutline) => boolean): string[] {
  return places.flatMap(({ at, options }) => options.filter(wanted).flatMap((option) => spellings(option).map((word) => `${at}:${word}`)));
}

/** Ways from one place to the next: `riata queue:list`. */
function steps(places: readonly Place[]): string[] {
  return places
    .map(({ at }) => at)
    .filter((at) => at !== 'riata')
    .map((at) => at.replace(/ (\S+)$/, ':$1'));
}

/** Options with the same choices share a line of the script. */
function choosing(places: readonly Place[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const place of places)
    for (const option of place.options) {
      if (option.choices.length === 0) continue;
      const choices = option.choices.join(' ');
      found.set(choices, [...(found.get(choices) ?? []), ...spellings(option).map((word) => `${place.at}:${word}`)]);
    }
  return found;
}

/** For sh and its kin. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function pattern(texts: readonly string[]): string {
  return texts.map(quote).join('|');
}

// — bash —

function bash(places: readonly Place[]): string {
  const values = [...choosing(places)].map(
    ([choices, where]) => `    ${pattern(where)})\n      COMPREPLY=($(compgen -W ${quote(choices)} -- "$cur"))\n      return ;;`,
  );
  const offers = places.map(({ at, words, options }) => {
    const offered = [...words.map(({ name }) => name)].join(' ');
    return `    ${quote(at)}) words=${quote(offered)} options=${quote(options.flatMap(spellings).join(' '))} ;;`;
  });
  return `# Completion of riata for bash. In ~/.bashrc: source <(riata completion bash)
_riata() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} at=riata skip= words= options= i
  COMPREPLY=()
  # bash cuts --option=value into three.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ -n $skip ]]; then
      skip=
      continue
    fi
    case "$at:\${COMP_WORDS[i]}" in
    ${pattern(steps(places))}) at="$at \${COMP_WORDS[i]}" ;;
    ${pattern(keys(places, (option) => option.takesValue))}) skip=1 ;;
    esac
  done
  case "$at:$prev" in
${values.join('\n')}
    ${pattern(keys(places, (option) => option.takesValue && option.choices.length === 0))})
      return ;;
  esac
  case "$at" in
${offers.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  fi
}
# Where nothing of this fits, file names are offered.
complete -o default -F _riata riata
`;
}

// — zsh —

function zsh(places: readonly Place[]): string {
  const values = [...choosing(places)].map(([choices, where]) => `    (${pattern(where)}) compadd -- ${choices}; return ;;`);
  const described = (name: string, about: string) => quote(`${name}:${about.replaceAll(':', '\\:')}`);
  const offers = places.map(({ at, words, options }) => {
    const commands = words.map(({ name, describe }) => described(name, describe)).join(' ');
    const flags = options.flatMap((option) => spellings(option).map((word) => described(word, option.describe))).join(' ');
    return `    (${quote(at)})\n      commands=(${commands})\n      options=(${flags}) ;;`;
  });
  return `#compdef riata
# Completion of riata for zsh: put it into a folder of $fpath, named _riata.
_riata() {
  local at=riata cur=\${words[CURRENT]} prev=\${words[CURRENT-1]} skip= i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    if [[ -n $skip ]]; then
      skip=
      continue
    fi
    case "$at:\${words[i]}" in
    (${pattern(steps(places))}) at="$at \${words[i]}" ;;
    (${pattern(keys(places, (option) => option.takesValue))}) skip=1 ;;
    esac
  done
  if [[ $cur == --*=* ]]; then
    prev=\${cur%%=*}
    compset -P '*='
  fi
  case "$at:$prev" in
${values.join('\n')}
    (${pattern(keys(places, (option) => option.file))}) _files; return ;;
    (${pattern(keys(places, (option) => option.takesValue && !option.file && option.choices.length === 0))}) _message value; return ;;
  esac
  case "$at" in
${offers.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    _describe -o option options
  elif (( $#commands )); then
    _describe command commands
  else
    _files
  fi
}
if [[ $funcstack[1] == _riata ]]; then
  _riata "$@"
else
  compdef _riata riata
fi
`;
}

// — fish —

function fishQuote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ at, words, options }) => {
    const here = `complete -c riata -n ${fishQuote(`test (__riata_at) = "${at}"`)}`;
    const about = (describe: string) => (describe === '' ? '' : ` -d ${fishQuote(describe)}`);
    return [
      ...words.map(({ name, describe }) => `${here} -a ${fishQuote(name)}${about(describe)}`),
      ...options.map((option) => {
        const value =
          option.choices.length > 0
            ? ` -x -a ${fishQuote(option.choices.join(' '))}`
            : option.file
              ? ' -r -F'
              : option.takesValue
                ? ' -x'
                : '';
        return `${here} -l ${option.name}${option.alias === undefined ? '' : ` -s ${option.alias}`}${value}${about(option.describe)}`;
      }),
    ];
  });
  const list = (texts: readonly string[]) => texts.map(fishQuote).join(' ');
  return `# Completion of riata for fish: put it into ~/.config/fish/completions/riata.fish
function __riata_at
  set -l at riata
  set -l skip
  for word in (commandline -opc)[2..-1]
    if test -n "$skip"
      set skip
      continue
    end
    switch "$at:$word"
      case ${list(steps(places))}
        set at "$at $word"
      case ${list(keys(places, (option) => option.takesValue))}
        set skip 1
    end
  end
  echo $at
end
complete -c riata -f
${lines.join('\n')}
`;
}
