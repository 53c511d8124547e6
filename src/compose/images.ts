/**
 * Images of an HTML part: `<img src="X">` made to point at a part of the message, where X is the name under which an image was given.
 *
 * Promises: only the value of a `src` attribute of an `img` element is ever changed, and only where what a browser would read there
 * (character references decoded, nothing else) is exactly such a name; every other character of the page stays as it is. `srcset`,
 * `background`, CSS, comments, scripts, styles, text areas and elements of SVG are never touched. Time is linear in the page.
 *
 * The page is read by parse5's tokenizer; what its tree builder would tell it (where markup is only text, where SVG begins and
 * ends) is told here.
 */
import { foreignContent, html as htmlNames, type Token, type TokenHandler, Tokenizer, TokenizerMode } from 'parse5';

const { NS } = htmlNames;

/** Elements whose content is text, not markup. `noscript` is none of them: mail is read without scripts. */
const TEXT_ONLY: ReadonlyMap<string, (typeof TokenizerMode)[keyof typeof TokenizerMode]> = new Map([
  ['title', TokenizerMode.RCDATA],
  ['textarea', TokenizerMode.RCDATA],
  ['style', TokenizerMode.RAWTEXT],
  ['iframe', TokenizerMode.RAWTEXT],
  ['xmp', TokenizerMode.RAWTEXT],
  ['noembed', TokenizerMode.RAWTEXT],
  ['noframes', TokenizerMode.RAWTEXT],
  ['script', TokenizerMode.SCRIPT_DATA],
  ['plaintext', TokenizerMode.PLAINTEXT],
]);

/** `page` with the sources replaced for which `replacement` has something; it must hold no quotes and no `&`. */
export function withImageSources(page: string, replacement: (source: string) => string | undefined): string {
  const reader = new ImageReader(page, replacement);
  reader.read();
  return reader.result();
}

/** Part of the page under one set of rules: HTML, or foreign elements (SVG, MathML), and which element began it. */
interface Region {
  readonly namespace: htmlNames.NS;
  readonly element: string;
}

class ImageReader implements TokenHandler {
  readonly #page: string;
  readonly #replacement: (source: string) => string | undefined;
  readonly #tokenizer: Tokenizer;
  readonly #regions: Region[] = [{ namespace: NS.HTML, element: '' }];
  #result = '';
  #copied = 0;

  constructor(page: string, replacement: (source: string) => string | undefined) {
    this.#page = page;
    this.#replacement = replacement;
    this.#tokenizer = new Tokenizer({ sourceCodeLocationInfo: true }, this);
  }

  read(): void {
    this.#tokenizer.write(this.#page, true);
  }

  result(): string {
    return this.#result + this.#page.slice(this.#copied);
  }

  onStartTag(tag: Token.TagToken): void {
    const name = tag.tagName;
    if (this.#foreign() && foreignContent.causesExit(tag)) this.#leaveForeign();
    if (this.#foreign()) {
      this.#enterFrom(tag, name);
    } else if (name === 'svg' || name === 'math') {
      if (!tag.selfClosing) this.#enter({ namespace: name === 'svg' ? NS.SVG : NS.MATHML, element: name });
    } else {
      if (name === 'img') this.#image(tag);
      const mode = TEXT_ONLY.get(name);
      if (mode !== undefined) this.#tokenizer.state = mode;
    }
  }

  onEndTag(tag: Token.TagToken): void {
    if (this.#foreign() && (tag.tagName === 'p' || tag.tagName === 'br')) this.#leaveForeign();
    else if (this.#regions.length > 1 && this.#regions.at(-1)?.element === tag.tagName) this.#leave();
  }

  onCharacter(): void {}
  onWhitespaceCharacter(): void {}
  onNullCharacter(): void {}
  onComment(): void {}
  onDoctype(): void {}
  onEof(): void {}

  #image(tag: Token.TagToken): void {
    const source = tag.attrs.find((attribute) => attribute.name === 'src');
    const place = tag.location?.attrs?.['src'];
    if (source === undefined || place === undefined) return;
    const value = this.#replacement(source.value);
    if (value === undefined) return;
    const written = this.#page.slice(place.startOffset, place.endOffset);
    const before = /^[^=]*=\s*/.exec(written)?.[0];
    if (before === undefined) return;
    const quote = written[before.length] === "'" ? "'" : '"';
    this.#result += `${this.#page.slice(this.#copied, place.startOffset)}${before}${quote}${value}${quote}`;
    this.#copied = place.endOffset;
  }

  #foreign(): boolean {
    return this.#regions.at(-1)!.namespace !== NS.HTML;
  }

  /** A start tag among foreign elements: HTML may stand in some of them, and those that began the region may be nested. */
  #enterFrom(tag: Token.TagToken, name: string): void {
    if (tag.selfClosing) return;
    const { namespace } = this.#regions.at(-1)!;
    if (namespace === NS.SVG) foreignContent.adjustTokenSVGTagName(tag);
    if (foreignContent.isIntegrationPoint(tag.tagID, namespace, tag.attrs)) this.#enter({ namespace: NS.HTML, element: name });
    else if (name === this.#regions.at(-1)!.element) this.#enter({ namespace, element: name });
  }

  #enter(region: Region): void {
    this.#regions.push(region);
    this.#tokenizer.inForeignNode = this.#foreign();
  }

  #leave(): void {
    this.#regions.pop();
    this.#tokenizer.inForeignNode = this.#foreign();
  }

  #leaveForeign(): void {
    while (this.#foreign()) this.#leave();
  }
}
