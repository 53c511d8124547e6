/** `riata completion SHELL`. */
import type { Declare } from '../command.js';
import type { CommandLine } from '../outline.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** `line`: what is to be completed. */
export const completionCommand =
  (line: () => CommandLine): Declare =>
  (yargs, run) =>
    yargs.command(
      'completion <shell>',
      'Print what completes these commands in a shell',
      (command) =>
        command
          .positional('shell', { type: 'string', choices: SHELLS, demandOption: true, describe: 'The shell' })
          .example('source <($0 completion bash)', 'in ~/.bashrc')
          .example('$0 completion zsh > "$fpath[1]/_riata"', 'once, then a new shell')
          .example('$0 completion fish > ~/.config/fish/completions/riata.fish', 'once'),
      run(async () => (await import('../completion.js')).completion(line())),
    );
