/**
 * Elements made from code. What is given as a child becomes text or is an element already; nothing here reads markup, so nothing
 * that came by mail can become any. Attributes that lead somewhere may lead only within the page and its API.
 */
export type Child = Node | string | number | undefined | null | false | readonly Child[];

export interface Props {
  readonly class?: string | undefined;
  /** Listeners by the name of the event. */
  readonly on?: { readonly [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
  readonly [attribute: string]: unknown;
}

const LEADS_SOMEWHERE = ['href', 'src', 'action', 'formaction'];
const SVG = 'http://www.w3.org/2000/svg';

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  const { on, ...attributes } = props;
  setAttributes(element, attributes);
  for (const [type, listener] of Object.entries(on ?? {})) element.addEventListener(type, listener as EventListener);
  append(element, children);
  return element;
}

export function s(tag: string, attributes: Readonly<Record<string, unknown>> = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  append(element, children);
  return element;
}

function setAttributes(element: Element, attributes: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    const text = value === true ? '' : String(value);
    if (name.startsWith('on') || name === 'style' || name === 'srcdoc') throw new TypeError(`no attribute ${name}`);
    if (LEADS_SOMEWHERE.includes(name) && !/^(#|\/(?!\/))/.test(text)) throw new TypeError(`${name} leads out of the page`);
    element.setAttribute(name, text);
  }
}

function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (Array.isArray(child)) append(parent, child as readonly Child[]);
    else parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Puts other children in place of those there are. What is open stays open, and what has the focus keeps it, where the new ones have the
 * same `data-key`; where what had it is gone, the heading of the page has it.
 */
export function replace(parent: Element, ...children: Child[]): void {
  const open = new Set([...parent.querySelectorAll('details[open][data-key]')].map(keyOf));
  const closed = new Set([...parent.querySelectorAll('details:not([open])[data-key]')].map(keyOf));
  const had = parent.contains(document.activeElement) ? document.activeElement : null;
  parent.replaceChildren();
  append(parent, children);
  for (const details of parent.querySelectorAll('details[data-key]')) {
    if (open.has(keyOf(details))) details.setAttribute('open', '');
    if (closed.has(keyOf(details))) details.removeAttribute('open');
  }
  if (had !== null && !parent.contains(document.activeElement)) focusInstead(had, parent);
}

/** What had the focus is gone: what took its place has it, or the heading of the page. */
export function focusInstead(had: Element, within: ParentNode = document): void {
  const key = keyOf(had);
  const again = key === undefined ? undefined : [...within.querySelectorAll<HTMLElement>('[data-key]')].find((each) => keyOf(each) === key);
  (again ?? document.querySelector<HTMLElement>('main h1'))?.focus({ preventScroll: true });
}

function keyOf(element: Element): string | undefined {
  return element.getAttribute('data-key') ?? undefined;
}

/** Children by key, in the order of `items`: those that stay are kept and told what is new, the rest is made or goes. */
export function keyed<T>(
  parent: Element,
  items: readonly T[],
  key: (item: T) => string,
  make: (item: T) => Element,
  renew: (element: Element, item: T) => void,
): void {
  const before = new Map([...parent.children].map((child) => [keyOf(child), child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let element = before.get(name);
    before.delete(name);
    if (element === undefined) {
      element = make(item);
      element.setAttribute('data-key', name);
    }
    renew(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const gone of before.values()) gone.remove();
}
