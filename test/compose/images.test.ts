import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DefaultTreeAdapterTypes, parse } from 'parse5';
import { withImageSources } from '../../src/compose/images.js';
import fc from '../support/properties.js';

const CIDS: Readonly<Record<string, string>> = {
  '/a.gif': 'cid:a.gif',
  'b c.png': 'cid:b=20c.png',
  '/x?a=1&b=2': 'cid:x',
  'é.png': 'cid:e',
};
const rewrite = (page: string) => withImageSources(page, (source) => CIDS[source]);

/** Each with what becomes of it; the same where that is not given. */
const PAGES: readonly (readonly [string, string?])[] = [
  ['<img src="/a.gif">', '<img src="cid:a.gif">'],
  [`<IMG alt="src='/a.gif'" SRC='/a.gif'/>`, `<IMG alt="src='/a.gif'" SRC='cid:a.gif'/>`],
  ['<img src=/a.gif>', '<img src="cid:a.gif">'],
  ['<img src=/a.gif alt=x>', '<img src="cid:a.gif" alt=x>'],
  ['<img\r\n src\t=\n"/a.gif"\r\n>\r\n\n', '<img\r\n src\t=\n"cid:a.gif"\r\n>\r\n\n'],
  ['<img src="b c.png"><img src="&#47;a.gif">', '<img src="cid:b=20c.png"><img src="cid:a.gif">'],
  ['<img src="/x?a=1&amp;b=2"><img src="/x?a=1&b=2">', '<img src="cid:x"><img src="cid:x">'],
  ['😀é<img src="é.png">é😀', '😀é<img src="cid:e">é😀'],
  ['<img src="/a.gif" srcset="/a.gif 2x, /a.gif 3x">', '<img src="cid:a.gif" srcset="/a.gif 2x, /a.gif 3x">'],
  ['<img src="/a.gif" src="/a.gif">', '<img src="cid:a.gif" src="/a.gif">'],
  ['<noscript><img src="/a.gif"></noscript>', '<noscript><img src="cid:a.gif"></noscript>'],
  ['<svg><foreignObject><img src="/a.gif"></foreignObject></svg>', '<svg><foreignObject><img src="cid:a.gif"></foreignObject></svg>'],
  ['<svg><![CDATA[<img src="/a.gif">]]></svg><img src="/a.gif">', '<svg><![CDATA[<img src="/a.gif">]]></svg><img src="cid:a.gif">'],
  ['<svg/><style><img src="/a.gif"></style>'],
  ['<!-- <img src="/a.gif"> --><!--><img src="/a.gif">', '<!-- <img src="/a.gif"> --><!--><img src="cid:a.gif">'],
  [`<script>x = "<img src='/a.gif'>"</script><img src="/a.gif">`, `<script>x = "<img src='/a.gif'>"</script><img src="cid:a.gif">`],
  ['<style>a { background: url(/a.gif) } </style><p style="background: url(\'/a.gif\')" background="/a.gif">'],
  ['<title><img src="/a.gif"></title><textarea><img src="/a.gif"></textarea><xmp><img src="/a.gif"></xmp>'],
  ['<iframe><img src="/a.gif"></iframe><plaintext><img src="/a.gif">'],
  ['<input type=image src="/a.gif"><video src="/a.gif" poster="/a.gif"><image src="/a.gif"><imgx src="/a.gif"><x-img src="/a.gif">'],
  ['<picture><source srcset="/a.gif" src="/a.gif"></picture><embed src="/a.gif"><svg><image href="/a.gif" src="/a.gif"/></svg>'],
  ['<img src="/A.GIF"><img src="/a.gif "><img src=" /a.gif"><img src="./a.gif"><img src="/a.gif?"><img src="%2Fa.gif">'],
  ['<img data-src="/a.gif" xsrc="/a.gif" src.x="/a.gif"><img src><img src="">'],
  ['<img src="/a.gif"', '<img src="/a.gif"'],
  ['< img src="/a.gif"><\\img src="/a.gif">&lt;img src="/a.gif">'],
  ['"<img src="/a.gif">\'', '"<img src="cid:a.gif">\''],
];

test('the source of an image is rewritten where it is exactly a name, and nothing else is', () => {
  for (const [page, expected] of PAGES) assert.equal(rewrite(page), expected ?? page);
});

type Node = DefaultTreeAdapterTypes.Node;

/** Sources of all images, as a full HTML parser sees them. */
function sources(page: string): (string | undefined)[] {
  const found: (string | undefined)[] = [];
  const open: Node[] = [parse(page, { scriptingEnabled: false })];
  for (let node = open.shift(); node !== undefined; node = open.shift()) {
    if ('tagName' in node && node.tagName === 'img' && node.namespaceURI === 'http://www.w3.org/1999/xhtml')
      found.push(node.attrs.find(({ name }) => name === 'src')?.value);
    open.unshift(...('childNodes' in node ? node.childNodes : []));
  }
  return found;
}

const image = fc.constantFrom('<img src="/a.gif">', "<img alt='>' src='/a.gif'>", '<img src=/a.gif>', '<img src="other">');
const markup = fc.constantFrom(
  '<svg>',
  '</svg>',
  '<math>',
  '</math>',
  '<foreignObject>',
  '</foreignObject>',
  '<desc>',
  '</desc>',
  '<mi>',
  '</mi>',
  '<style>',
  '</style>',
  '<script>',
  '</script>',
  '<textarea>',
  '</textarea>',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '<p>',
  '</p>',
  '<div>',
  '</div>',
  '<table>',
  '<td>',
  '"',
  "'",
  '>',
  '<',
  '&amp;',
  'text',
);

const piece = fc.oneof({ weight: 1, arbitrary: image }, { weight: 3, arbitrary: markup });

test('what is rewritten is what a full HTML parser takes for an image, in any tangle of markup', () => {
  let seen = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const page = pieces.join('');
      const before = sources(page);
      seen += before.filter((source) => source === '/a.gif').length;
      const rewritten = rewrite(page);
      assert.deepEqual(
        sources(rewritten),
        before.map((source) => (source === '/a.gif' ? 'cid:a.gif' : source)),
        page,
      );
      // Nothing else was touched: with the sources put back, it is the page it was, but for quotes around them.
      const bare = (text: string) => text.replace(/src=["']?(?:\/|cid:)a\.gif["']?/g, 'src');
      assert.equal(bare(rewritten), bare(page));
    }),
    { numRuns: 5000, seed: 8 },
  );
  assert.ok(seen > 2000);
});

test('a megabyte of any markup takes no more than a moment', () => {
  for (const unit of [
    '<svg>',
    '<svg><desc>',
    '<img src="/a.gif">',
    '<',
    '<!--',
    '<div>',
    '<img ',
    '<img src=',
    '&amp',
    '"',
    '<a b=',
    '<math><mi>',
  ]) {
    const began = performance.now();
    rewrite(unit.repeat(1_000_000 / unit.length));
    const took = performance.now() - began;
    assert.ok(took < 20_000, `${unit}: ${took} ms`);
  }
});
