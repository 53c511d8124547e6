/** Questions before something is done, in a dialog of the browser's own: focus stays in it, Escape is no. */
import { type Child, focusInstead, h } from './dom.js';

export interface Question {
  readonly title: string;
  readonly text: Child;
  /** What the button does, in a word or two. */
  readonly yes: string;
  readonly danger?: boolean;
  /** Asked for besides, and handed on. */
  readonly input?: HTMLInputElement;
  readonly label?: string;
  readonly hint?: string;
}

/** Resolves with what was typed in (empty without an input), or undefined for no. */
export function ask({ title, text, yes, danger = false, input, label, hint }: Question): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer: string | undefined;
    const no = h('button', { type: 'button', class: 'button', on: { click: () => dialog.close() } }, 'Cancel');
    const form = h(
      'form',
      {
        on: {
          submit: (event) => {
            event.preventDefault();
            answer = input?.value ?? '';
            dialog.close();
          },
        },
      },
      h('h2', { id: 'question' }, title),
      h('p', {}, text),
      input && h('label', { class: 'field' }, h('span', {}, label), input, hint !== undefined && h('small', {}, hint)),
      h('div', { class: 'answers' }, no, h('button', { type: 'submit', class: danger ? 'button danger' : 'button primary' }, yes)),
    );
    const dialog = h('dialog', { 'aria-labelledby': 'question' }, form);
    const asker = document.activeElement;
    dialog.addEventListener('close', () => {
      dialog.remove();
      // The browser gives the focus back, but not to what was drawn anew meanwhile.
      if (asker !== null && !asker.isConnected) focusInstead(asker);
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    (input ?? (danger ? no : form.querySelector<HTMLElement>('[type=submit]')))?.focus();
  });
}
