/** Asks for the token, once. */
import { type Api, Refusal } from './api.js';
import { h } from './dom.js';
import { icon } from './icons.js';

export function login(api: Api, done: () => void): HTMLElement {
  const token = h('input', {
    type: 'password',
    name: 'token',
    autocomplete: 'current-password',
    required: true,
    spellcheck: 'false',
    'aria-describedby': 'login-error',
  });
  const error = h('p', { id: 'login-error', class: 'error', role: 'alert' });
  const button = h('button', { type: 'submit', class: 'button primary' }, 'Open');
  const submit = async () => {
    button.disabled = true;
    error.textContent = '';
    try {
      await api.logIn(token.value.trim());
      done();
    } catch (failure) {
      error.textContent =
        failure instanceof Refusal && failure.status === 401
          ? 'That is not the token.'
          : failure instanceof Error
            ? failure.message
            : String(failure);
      token.select();
    } finally {
      button.disabled = false;
    }
  };
  const form = h(
    'form',
    {
      class: 'login card',
      on: {
        submit: (event) => {
          event.preventDefault();
          void submit();
        },
      },
    },
    h('div', { class: 'mark', 'aria-hidden': 'true' }, icon('key')),
    h('h1', { tabindex: -1 }, 'Riata'),
    h(
      'p',
      { class: 'muted' },
      'This agent shows its queue to whoever has its token: what control.token or control.tokenFile of its configuration says.',
    ),
    h('label', { class: 'field' }, h('span', {}, 'Token'), token),
    error,
    button,
  );
  return form;
}
