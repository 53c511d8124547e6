import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import { until } from '../support/scope.js';
import { closeBrowser, noBrowser, picture, serveSite, TOKEN } from './rig.js';
import { letter, tell } from './story.js';

after(closeBrowser);

const options = { skip: noBrowser, timeout: 300_000 };
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe-core finds wrong, in a line each. */
async function faults(page: Page): Promise<string[]> {
  // As a debugger would put it there: the page's own policy lets no such thing in.
  await page.evaluate(AXE);
  return page.evaluate(
    `axe.run({ iframes: false, exclude: [['iframe']] }, { runOnly: ${JSON.stringify(TAGS)} }).then(({ violations }) =>
       violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => id + ' ' + target.join(' ') + ': ' + failureSummary)))`,
  );
}

/** The page is no wider than the window. */
async function fits(page: Page): Promise<boolean> {
  return page.evaluate('document.documentElement.scrollWidth <= innerWidth');
}

for (const dark of [false, true]) {
  const light = dark ? 'dark' : 'light';
  test(
    `every page, dialog and state is fit for all in ${light}, from 360 to 1600 pixels, and nothing is wider than the window`,
    options,
    async (t) => {
      const site = await serveSite(t);
      const story = await tell(site);
      await site.agent.verbs.pause({ domain: 'two.test', reason: 'asked us to wait until Monday' });
      for (const width of [1280, 360, 1600]) {
        const { page } = await site.visit({ dark, width });
        const check = async (name: string) => {
          assert.deepEqual(await faults(page), [], `${name}, ${light}, ${width}`);
          assert.ok(await fits(page), `${name} at ${width}`);
          await picture(page, `${light}-${width}-${name}`);
        };
        await page.getByText('Backing off').first().waitFor();
        await check('overview');
        await page.goto(`${site.url}#/messages`);
        await page.getByLabel('Choose the message to press@two.test').check();
        await check('messages');
        await page.getByRole('button', { name: 'Return to sender' }).click();
        await check('question');
        await page.keyboard.press('Escape');
        await page.goto(`${site.url}#/messages?search=nobody`);
        await page.getByText('Nothing matches').waitFor();
        await check('nothing-found');
        await page.goto(`${site.url}#/lanes`);
        await page.getByText('Paused').waitFor();
        await check('lanes');
        await page.goto(`${site.url}#/messages/${story.greylisted}`);
        await page.getByText('1 attempt').click();
        await page.getByText('Transcript').click();
        for (const tab of ['Text', 'HTML', 'Headers', 'Structure', 'Source']) {
          await page.getByRole('tab', { name: tab }).click();
          await page.getByRole('tabpanel').locator('> *').first().waitFor();
          await check(`message-${tab.toLowerCase()}`);
        }
        await page.goto(`${site.url}#/messages/${story.failed}`);
        await page.getByText('550 5.1.1').first().waitFor();
        await check('failed');
      }
      const { page } = await site.visit({ dark, loggedIn: false });
      await page.getByLabel('Token').fill('wrong-wrong-wrong-wrong');
      await page.getByRole('button', { name: 'Open' }).click();
      await page.getByText('That is not the token.').waitFor();
      assert.deepEqual(await faults(page), [], 'login');
      await picture(page, `${light}-login`);
    },
  );
}

/** Tab by Tab, until the element that has the focus is called so. */
async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const called = async () =>
    String(
      await page.evaluate(
        '(({ activeElement: it }) => it.getAttribute("aria-label") ?? it.labels?.[0]?.textContent ?? it.innerText ?? "")(document)',
      ),
    ).trim();
  const seen: string[] = [];
  for (let presses = 0; presses < 80; presses++) {
    const now = await called();
    if (typeof name === 'string' ? now === name : name.test(now)) return;
    seen.push(now);
    await page.keyboard.press('Tab');
  }
  assert.fail(`nothing called ${name} was reached with Tab, but ${seen.join(' | ')}`);
}

test('everything can be done with the keyboard alone, and the focus is never lost', options, async (t) => {
  const site = await serveSite(t);
  const id = await site.agent.submit({
    from: 'shop@larkspur.example',
    to: 'ok@dev.test',
    content: letter('x', 'ok@dev.test'),
    notBefore: Date.now() + 9e6,
  });
  const { page } = await site.visit({ loggedIn: false });
  const focused = () => page.evaluate('document.activeElement !== document.body && document.activeElement !== null');
  await page.getByLabel('Token').waitFor();
  await page.keyboard.type(TOKEN);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.keyboard.press('Tab');
  await tabTo(page, 'Messages');
  await page.keyboard.press('Enter');
  await page.getByLabel('Choose the message to ok@dev.test').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('ok@dev');
  await page.keyboard.press('Enter');
  await until('the search', () => page.url().includes('search='));
  await page.getByLabel('Choose the message to ok@dev.test').waitFor();
  await tabTo(page, /Choose the message/);
  await page.keyboard.press('Space');
  await page.keyboard.press('Shift+Tab');
  await tabTo(page, /Choose the message/);
  await page.keyboard.press('Tab');
  await tabTo(page, 'ok@dev.test');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'To ok@dev.test' }).waitFor();
  await tabTo(page, 'Hold');
  await page.keyboard.press('Enter');
  await page.getByText('1 message held.').waitFor();
  await until('the focus to be somewhere', focused);
  await tabTo(page, 'Remove…');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  assert.equal(await page.locator('dialog :focus').innerText(), 'Cancel', 'what cannot be undone is not the first answer');
  // The page is drawn anew under the question, and with it the button that asked.
  await page.evaluate('asker = [...document.querySelectorAll("main button")].find((each) => each.textContent === "Remove…")');
  await site.agent.verbs.change({ action: 'reschedule', at: Date.now() + 8e6, selector: { ids: [id] } });
  await until('the button to be another one', () => page.evaluate('!asker.isConnected'));
  await page.keyboard.press('Escape');
  await until('the focus to return', () => page.evaluate('document.activeElement.textContent === "Remove…"'));
  await tabTo(page, 'Text');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.getByRole('tabpanel', { name: 'Headers' }).getByText('Larkspur').first().waitFor();
  assert.equal(await page.locator(':focus').innerText(), 'Headers');
  assert.equal((await site.agent.verbs.show(id)).deliveries[0]!.state, 'held');
});
