import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { SinkOptions } from '../../src/dev/sink.js';
import { until } from '../support/scope.js';
import { closeBrowser, noBrowser, type Site, serveSite, trap, type Watched } from './rig.js';

after(closeBrowser);

const options = { skip: noBrowser, timeout: 300_000 };

/** Each would leave a mark on the window, or ask a server that is not there, if anything of it ran. */
const SCRIPTS = [
  '<script>window.top.harmed=1;window.harmed=1</script>',
  '<img src=x onerror="window.harmed=1;window.top.harmed=1">',
  '<svg/onload=window.harmed=1>',
  '"><iframe src="javascript:parent.harmed=1"></iframe>',
  "'-window.harmed=1-'",
  '{{constructor.constructor("window.harmed=1")()}}',
  '\u202e<b>reversed</b>',
].join('');

const PAGE = `<!doctype html><html><head><base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=https://evil.example/refresh">
<link rel="stylesheet" href="https://evil.example/style.css"><link rel="preload" as="image" href="https://evil.example/preload.png">
<link rel="dns-prefetch" href="//dns.evil.example"><script src="https://evil.example/script.js"></script>
<style>@import url(https://evil.example/import.css); body{background:url(https://evil.example/background.png)} @font-face{font-family:x;src:url(https://evil.example/font.woff2)} p{font-family:x}</style></head>
<body onload="parent.harmed=1">${SCRIPTS}<p id="hello">Hello from the mail</p>
<img src="https://evil.example/pixel.gif"><img srcset="https://evil.example/set.png 2x"><picture><source srcset="https://evil.example/source.webp"><img></picture>
<video src="https://evil.example/video.mp4" poster="https://evil.example/poster.png" autoplay></video><audio src="https://evil.example/a.mp3" autoplay></audio>
<object data="https://evil.example/object"></object><embed src="https://evil.example/embed"><iframe src="https://evil.example/frame"></iframe>
<form action="https://evil.example/form"><input name="a" autofocus onfocus="parent.harmed=1"><button id="send">Send</button></form>
<a id="top" href="https://evil.example/top" target="_top">top</a><a id="blank" href="https://evil.example/blank" target="_blank">blank</a>
<a id="self" href="https://evil.example/self" ping="https://evil.example/ping">self</a><a id="script" href="javascript:parent.harmed=1">script</a>
</body></html>`;

const MAIL = `Subject: ${SCRIPTS}
From: "${SCRIPTS.replaceAll('"', '\\"')}" <a@larkspur.example>
To: victim@dev.test
X-${'<script>'.replace(/\W/g, '')}: ${SCRIPTS}
Message-ID: <${SCRIPTS.replace(/[<>\s]/g, '')}@larkspur.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: text/plain; charset=utf-8

${SCRIPTS}
--outer
Content-Type: text/html; charset=utf-8

${PAGE}
--outer
Content-Type: text/html; name="${SCRIPTS.replaceAll('"', '')}.html"
Content-Disposition: attachment; filename="<img src=x onerror=window.harmed=1>.html"

${PAGE}
--outer--
`;

/** The story of a message that wants harm: its envelope, its content, and what the server says of it. */
async function hostile(site: Site): Promise<string> {
  const { agent } = site;
  const id = await agent.submit({
    from: '"<img src=x onerror=window.harmed=1>"@larkspur.example',
    to: ['"<script>window.harmed=1</script>"@dev.test', 'ok@dev.test'],
    content: Buffer.from(MAIL.replace(/\r?\n/g, '\r\n')),
  });
  await agent.event('deferred', (event) => event.id === id);
  return id;
}

/** Says what it was told to at RCPT, markup and all. */
const RUDE: SinkOptions = {
  script: ({ verb, argument }) => (verb === 'RCPT' && argument.includes('script') ? `451 4.2.0 ${SCRIPTS}` : undefined),
};

/** Time for whatever would load or run by itself. A page that follows events never rests, and is given a moment. */
const rested = (page: Page) => page.waitForLoadState('networkidle', { timeout: 1_500 }).catch(() => {});

async function unharmed({ page, answered, complaints }: Watched, site: Site): Promise<void> {
  assert.equal(await page.evaluate('window.harmed'), undefined, 'a script ran');
  assert.deepEqual(
    answered.filter((url) => !url.startsWith(site.url)),
    [],
  );
  assert.equal(trap.caught, 0, 'a server elsewhere was spoken to');
  assert.equal(page.url().startsWith(site.url), true, 'the page was led away');
  assert.deepEqual(
    complaints.filter((each) => /Trusted|uncaught|unhandled/i.test(each)),
    [],
  );
}

test('hostile mail, addresses and replies are shown as the text they are: nothing runs, nothing is asked for', options, async (t) => {
  const site = await serveSite(t, { sink: RUDE });
  const id = await hostile(site);
  await site.agent.verbs.pause({ lane: 'mx:two.test', reason: SCRIPTS });
  const watched = await site.visit();
  const { page } = watched;
  await page.getByText('<script>window.top.harmed=1').first().waitFor();
  await unharmed(watched, site);
  for (const hash of [
    '#/messages',
    '#/messages?search=%3Cscript%3Ealert(1)%3C%2Fscript%3E',
    '#/messages?lane=%3Cscript%3E',
    '#/lanes',
    `#/messages/${encodeURIComponent(SCRIPTS)}`,
    `#/messages?state=${encodeURIComponent(SCRIPTS)}`,
  ]) {
    await page.goto(site.url + hash);
    await rested(page);
    await page.getByRole('heading', { level: 1 }).first().waitFor();
    await unharmed(watched, site);
  }
  await page.goto(`${site.url}#/messages/${id}`);
  await page.getByText('1 attempt').click();
  await page.getByText('Transcript').click();
  for (const [tab, proof] of [
    ['Text', '<svg/onload=window.harmed=1>'],
    ['Headers', "'-window.harmed=1-'"],
    ['Structure', 'multipart/mixed'],
    ['Source', 'Content-Type: multipart/mixed'],
  ] as const) {
    await page.getByRole('tab', { name: tab }).click();
    await page.getByRole('tabpanel').getByText(proof).first().waitFor();
    await unharmed(watched, site);
  }
});

test('the HTML of a hostile message is seen and does nothing: no script, no request, no way out of its frame', options, async (t) => {
  const site = await serveSite(t, { sink: RUDE });
  const id = await hostile(site);
  const watched = await site.visit();
  const { page, context } = watched;
  await page.goto(`${site.url}#/messages/${id}`);
  await page.getByRole('tab', { name: 'HTML' }).click();
  const frame = page.frameLocator('iframe[title="The message as HTML"]');
  await frame.getByText('Hello from the mail').waitFor();
  // Whatever would load or run by itself has had its time when what came later in the mail is shown and the network rests.
  await rested(page);
  await unharmed(watched, site);
  for (const each of ['#self', '#top', '#blank', '#script', '#send']) {
    await frame
      .locator(each)
      .click({ timeout: 2_000, noWaitAfter: true })
      .catch(() => {});
    await unharmed(watched, site);
  }
  assert.equal(context.pages().length, 1, 'no window was opened');
  const answer = await page.evaluate(
    `(async () => { try { const frame = document.querySelector('iframe'); return [frame.getAttribute('sandbox'), frame.contentDocument]; } catch (error) { return String(error); } })()`,
  );
  assert.deepEqual(answer, ['', null], 'it has an origin of its own');
});

test('opened by itself, the HTML of a message can do no more than in its frame', options, async (t) => {
  const site = await serveSite(t, { sink: RUDE });
  const id = await hostile(site);
  const watched = await site.visit();
  await watched.page.goto(`${site.url}#/messages/${id}`);
  await watched.page.getByRole('tab', { name: 'HTML' }).click();
  const src = await watched.page.locator('iframe').getAttribute('src');
  const alone = await watched.context.newPage();
  await alone.goto(new URL(src!, site.url).href);
  await alone.getByText('Hello from the mail').waitFor();
  assert.equal(await alone.evaluate('window.harmed'), undefined);
  assert.equal(await alone.evaluate('window.origin'), 'null', 'not ours: it cannot read the session');
  await rested(alone);
  await unharmed(watched, site);
});

test('the trap works: a page without such a policy is caught in it', options, async (t) => {
  const site = await serveSite(t);
  const { context } = await site.visit({ loggedIn: false });
  const before = trap.caught;
  const open = await context.newPage();
  await open.setContent('<img src="https://evil.example/pixel.gif">');
  await until('a connection', () => trap.caught > before);
  trap.caught = 0;
});

test('a file is saved, not opened, under its name without what could hurt', options, async (t) => {
  const site = await serveSite(t, { sink: RUDE });
  const id = await hostile(site);
  const watched = await site.visit();
  const { page } = watched;
  await page.goto(`${site.url}#/messages/${id}`);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('list', { name: 'Files' }).getByRole('button').first().click(),
  ]);
  assert.match(download.suggestedFilename(), /img src=x onerror=window\.harmed=1.*\.html$/);
  assert.doesNotMatch(download.suggestedFilename(), /[<>"]/);
  await until('it is saved', async () => (await download.path()) !== null);
  await page.getByRole('tab', { name: 'Source' }).click();
  const [source] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Save the source' }).click()]);
  assert.equal(source.suggestedFilename(), `${id}.eml`);
  await unharmed(watched, site);
});
