import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import { createCertificate } from '../support/certificate.js';
import { until } from '../support/scope.js';
import { closeBrowser, noBrowser, type Site, serveSite, TOKEN } from './rig.js';
import { letter, tell } from './story.js';

after(closeBrowser);

const options = { skip: noBrowser, timeout: 300_000 };
/** Waits long, so that a test finds it as it was. */
const later = () => Date.now() + 6 * 3_600_000;

function queue(site: Site, to: string, subject = 'Hello'): Promise<string> {
  return site.agent.submit({ from: 'shop@larkspur.example', to, content: letter(subject, to), notBefore: later() });
}

const row = (page: Page, address: string) => page.locator('.messages > li', { hasText: address });
const said = (page: Page, text: string | RegExp) => page.getByRole('status').filter({ hasText: text }).waitFor();
const stateOf = async ({ agent }: Site, id: string) => (await agent.verbs.show(id)).deliveries[0]!.state;

test(
  'the page wants the token once: a wrong one opens nothing, a right one holds over a reload and in another tab, until one logs out',
  options,
  async (t) => {
    const site = await serveSite(t);
    const { page, context } = await site.visit({ loggedIn: false });
    await page.getByLabel('Token').fill('not-the-token-at-all');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('That is not the token.').waitFor();
    assert.equal(await page.getByRole('navigation', { name: 'Pages' }).isVisible(), false);
    await page.getByLabel('Token').fill(TOKEN);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('mail.example.com').waitFor();
    await page.reload();
    await page.getByText('mail.example.com').waitFor();
    const other = await context.newPage();
    await other.goto(`${site.url}#/lanes`);
    await other.getByText('No mail waits anywhere.').waitFor();
    assert.doesNotMatch(await page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])'), new RegExp(TOKEN));
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('Token').waitFor();
    await page.reload();
    await page.getByLabel('Token').waitFor();
  },
);

test('over HTTPS it works as over HTTP, and logs in', options, async (t) => {
  const site = await serveSite(t, { http: { tls: createCertificate() } });
  assert.match(site.url, /^https:/);
  const { page, complaints } = await site.visit();
  await page.getByText('mail.example.com').waitFor();
  assert.deepEqual(
    complaints.filter((each) => !each.includes('401')),
    [],
  );
});

test('where this machine is trusted nobody is asked for a token', options, async (t) => {
  const site = await serveSite(t, { http: { token: '', trustLoopback: true } });
  const { page, complaints } = await site.visit({ loggedIn: false });
  await page.getByText('mail.example.com').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Log out' }).isVisible(), false);
  assert.deepEqual(complaints, []);
});

test('the overview tells depth, rates, what needs attention and the last errors', options, async (t) => {
  const site = await serveSite(t);
  await tell(site);
  await site.agent.verbs.pause({ domain: 'two.test', reason: 'asked us to wait' });
  const { page, complaints } = await site.visit();
  const figure = (name: string) => page.locator('.figures > div', { hasText: name }).locator('.value');
  const { counts } = await site.agent.verbs.stats();
  await until('the depth', async () => (await figure('Queued').innerText()) === String(counts.ready + counts.waiting + counts.held));
  const attention = page.getByRole('region', { name: 'Needs attention' });
  await attention.getByText('Backing off').first().waitFor();
  await attention.getByText('asked us to wait').waitFor();
  const errors = page.getByRole('region', { name: 'Last errors' });
  await errors.getByText('550 5.1.1').waitFor();
  await page.getByRole('img', { name: /in the queue now/ }).waitFor();
  await page.getByRole('button', { name: '3 h' }).click();
  assert.equal(await page.getByRole('button', { name: '3 h' }).getAttribute('aria-pressed'), 'true');
  await page.getByRole('img', { name: /Over 180 minutes/ }).waitFor();
  await attention.getByRole('button', { name: 'Resume' }).click();
  await said(page, 'two.test goes on.');
  await attention.getByText('asked us to wait').waitFor({ state: 'detached' });
  await errors.getByRole('link', { name: 'fail-550@dev.test' }).click();
  await page.getByRole('heading', { name: 'To fail-550@dev.test' }).waitFor();
  assert.deepEqual(
    complaints.filter((each) => !each.includes('401')),
    [],
  );
});

test('the list filters by state, finds by address, domain and id, and goes page by page', options, async (t) => {
  const site = await serveSite(t);
  const story = await tell(site);
  for (let i = 0; i < 60; i++) await queue(site, `person${i}@many.test`);
  const { page } = await site.visit();
  await page.getByRole('link', { name: 'Messages', exact: true }).click();
  await until(
    () => 'a full page',
    async () => (await page.locator('.messages > li').count()) === 50,
  );
  await page.getByRole('link', { name: 'Next page' }).click();
  await row(page, 'maya.lindqvist@two.test').waitFor();
  await page.getByRole('link', { name: 'First page' }).click();
  await row(page, 'person59@many.test').waitFor();
  for (const [state, there, not] of [
    ['Error', 'fail-550@dev.test', 'person59@many.test'],
    ['Sent', 'maya.lindqvist@two.test', 'fail-550@dev.test'],
    ['Held', 'g.moretti@implicit.test', 'person59@many.test'],
    ['Deferred', 'defer-451+greylist@dev.test', 'person59@many.test'],
    ['Queued', 'person59@many.test', 'maya.lindqvist@two.test'],
  ] as const) {
    await page.getByRole('navigation', { name: 'State' }).getByRole('link', { name: state }).click();
    await row(page, there).waitFor();
    assert.equal(await row(page, not).count(), 0, state);
  }
  await page.getByRole('navigation', { name: 'State' }).getByRole('link', { name: 'All' }).click();
  for (const [words, found] of [
    ['maya.lindqvist@two.test', 'maya.lindqvist@two.test'],
    ['implicit.test', 'g.moretti@implicit.test'],
    [story.failed.toLowerCase(), 'fail-550@dev.test'],
  ] as const) {
    await page.getByRole('searchbox').fill(words);
    await page.getByRole('searchbox').press('Enter');
    await row(page, found).waitFor();
    await until(`only ${words}`, async () => (await page.locator('.messages > li').count()) === 1);
  }
  await page.getByRole('searchbox').fill('nobody@nowhere.example');
  await page.getByRole('searchbox').press('Enter');
  await page.getByText('Nothing matches').waitFor();
});

test('one message can be held, released, rescheduled, returned, removed and retried, each after its question', options, async (t) => {
  const site = await serveSite(t);
  const id = await queue(site, 'ok@dev.test');
  const { page } = await site.visit();
  await page.goto(`${site.url}#/messages/${id}`);
  const click = (name: string) => page.getByRole('group', { name: 'What can be done' }).getByRole('button', { name }).click();
  const dialog = page.getByRole('dialog');
  await click('Hold');
  await said(page, '1 message held.');
  assert.equal(await stateOf(site, id), 'held');
  await click('Release');
  await said(page, '1 message released.');
  assert.equal(await stateOf(site, id), 'waiting', 'for its time');
  await click('Retry now');
  await until('it is tried', async () => (await stateOf(site, id)) === 'done');
  await page.getByText('The content went with the last delivery.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Hold' }).count(), 0, 'nothing can be done any more');

  const second = await queue(site, 'ok@dev.test');
  await page.goto(`${site.url}#/messages/${second}`);
  await click('Reschedule');
  await dialog.getByLabel('Next attempt').fill('2031-05-06T07:08');
  await dialog.getByRole('button', { name: 'Reschedule' }).click();
  await said(page, '1 message rescheduled.');
  const { due } = (await site.agent.verbs.show(second)).deliveries[0]!;
  assert.equal(due, new Date(2031, 4, 6, 7, 8).getTime());
  await click('Remove');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await click('Remove');
  await page.keyboard.press('Escape');
  assert.equal(await stateOf(site, second), 'waiting', 'no is no');
  await click('Remove');
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await said(page, '1 message removed.');
  assert.equal((await site.agent.verbs.show(second)).deliveries[0]!.recipients[0]!.state, 'removed');

  const third = await queue(site, 'ok@dev.test');
  await page.goto(`${site.url}#/messages/${third}`);
  await click('Return to sender');
  await dialog.getByLabel('Reason').fill('the customer has cancelled');
  await dialog.getByRole('button', { name: 'Return to sender' }).click();
  await said(page, '1 message returned to sender.');
  const { recipients } = (await site.agent.verbs.show(third)).deliveries[0]!;
  assert.equal(recipients[0]!.state, 'bounced');
  await page.getByText('the customer has cancelled').first().waitFor();

  const fourth = await queue(site, 'ok@dev.test');
  await page.goto(`${site.url}#/messages/${fourth}`);
  await click('Retry now');
  await until('it is delivered', async () => (await stateOf(site, fourth)) === 'done');
  await page.getByRole('region', { name: 'dev.test' }).getByText('Sent').first().waitFor();
});

test('several messages are chosen and acted on together, all of a lane or of the queue as well', options, async (t) => {
  const site = await serveSite(t);
  const ids: string[] = [];
  for (const name of ['ann', 'ben', 'cleo', 'dan']) ids.push(await queue(site, `${name}@dev.test`));
  const states = () => Promise.all(ids.map((id) => stateOf(site, id)));
  const { page } = await site.visit();
  await page.goto(`${site.url}#/messages?state=queued`);
  const bar = page.getByRole('group', { name: 'Chosen messages' });
  await page.getByLabel('Choose the message to ben@dev.test').check();
  await page.getByLabel('Choose the message to cleo@dev.test').check();
  await bar.getByText('2 messages').waitFor();
  await bar.getByRole('button', { name: 'Hold' }).click();
  await said(page, '2 messages held.');
  assert.deepEqual(await states(), ['waiting', 'held', 'held', 'waiting']);
  await bar.getByText('Choose all on this page').waitFor();
  await bar.getByRole('checkbox').check();
  await bar.getByRole('button', { name: 'Choose all queued mail' }).click();
  await bar.getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('dialog').getByText('Remove all queued mail?').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await bar.getByRole('button', { name: 'Hold' }).click();
  await said(page, '4 messages held.');
  assert.deepEqual(await states(), ['held', 'held', 'held', 'held']);
  await page.goto(`${site.url}#/messages?lane=${encodeURIComponent('mx:dev.test')}`);
  await row(page, 'ann@dev.test').waitFor();
  await bar.getByRole('checkbox').check();
  await bar.getByRole('button', { name: 'Choose all that waits for dev.test' }).click();
  await bar.getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await said(page, '4 messages removed.');
  await page.getByText('No mail').waitFor();
});

test('a lane whose servers are in trouble says so, under whatever name they have', options, async (t) => {
  const site = await serveSite(t);
  await site.agent.submit({ from: 'a@larkspur.example', to: 'ann@down.test', content: letter('x', 'ann@down.test') });
  await queue(site, 'ok@dev.test');
  const { page } = await site.visit();
  await page
    .getByRole('region', { name: 'Needs attention' })
    .getByText(/Lanes: down\.test\./)
    .waitFor();
  await page.getByRole('link', { name: 'Lanes' }).click();
  const lane = (name: string) => page.locator('.lanes > li', { has: page.getByRole('link', { name, exact: true }) });
  await lane('down.test').getByText('Backing off').waitFor();
  await lane('down.test').getByText('could not connect').waitFor();
  assert.equal(await lane('dev.test').getByText('Open').isVisible(), true);
});

test('a lane is paused with a reason, and goes on', options, async (t) => {
  const site = await serveSite(t);
  await queue(site, 'ok@dev.test');
  await queue(site, 'ok@two.test');
  const { page } = await site.visit();
  await page.getByRole('link', { name: 'Lanes' }).click();
  await page.getByRole('button', { name: 'Pause… dev.test' }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill('their server moves tonight');
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await said(page, 'dev.test is paused.');
  await page.getByText('their server moves tonight').waitFor();
  const paused = async () => (await site.agent.verbs.lanes({ paused: true }, { limit: 9 })).items.map(({ lane }) => lane);
  assert.deepEqual(await paused(), ['mx:dev.test']);
  await page.getByRole('button', { name: 'Resume dev.test' }).click();
  await said(page, 'dev.test goes on.');
  assert.deepEqual(await paused(), []);
  await page.getByRole('searchbox').fill('two');
  await page.getByRole('searchbox').press('Enter');
  await page.getByRole('link', { name: 'two.test' }).waitFor();
  await until('one lane', async () => (await page.locator('.lanes > li').count()) === 1);
});

test('what happens is seen without a reload, and what is open stays open', options, async (t) => {
  const site = await serveSite(t);
  const { page, answered } = await site.visit();
  const streams = () => answered.filter((url) => url.endsWith('/v1/events')).length;
  await until('the stream', () => streams() === 1);
  // By the events alone, not by looking every ten seconds.
  await page.addInitScript('window.setInterval = () => 0');
  await page.reload();
  await page.getByRole('link', { name: 'Messages', exact: true }).click();
  await page.getByText('No mail yet.').waitFor();
  await until('the stream', () => streams() === 2);
  const id = await site.agent.submit({ from: 'a@larkspur.example', to: 'defer-450@dev.test', content: letter('x', 'y@dev.test') });
  await row(page, 'defer-450@dev.test').getByText('Retrying').waitFor();
  await page.getByRole('link', { name: 'defer-450@dev.test' }).click();
  await page.getByText('Attempt 1 did not succeed').waitFor();
  await page.getByText('1 attempt').click();
  await page.getByText('Transcript').click();
  await page.getByText('RCPT TO:<defer-450@dev.test>').waitFor();
  await site.agent.verbs.change({ action: 'retry', selector: { ids: [id] } });
  await page.getByText('2 attempts').waitFor();
  assert.equal(await page.getByText('RCPT TO:<defer-450@dev.test>').last().isVisible(), true);
});

test('an agent that is gone is told of, and found again by itself', options, async (t) => {
  const site = await serveSite(t);
  await queue(site, 'ok@dev.test');
  const { page } = await site.visit();
  await page.goto(`${site.url}#/messages`);
  await row(page, 'ok@dev.test').waitFor();
  await site.control.close(0);
  await page.getByText('The agent does not answer.').waitFor();
  assert.equal(await row(page, 'ok@dev.test').isVisible(), true, 'what was known stays to be seen');
  await page.getByRole('link', { name: 'Lanes' }).click();
  await queue(site, 'later@two.test');
  await site.serveAgain();
  await page.getByText('The agent does not answer.').waitFor({ state: 'hidden' });
  await page.getByRole('link', { name: 'two.test' }).waitFor();
});

test('a message that is nowhere, a page that is nowhere and an id that is none are said plainly', options, async (t) => {
  const site = await serveSite(t);
  const { page } = await site.visit();
  for (const [hash, text] of [
    ['#/messages/01ARZ3NDEKTSV4RRFFQ69G5FAV', 'No such message'],
    ['#/messages/nonsense', 'No such message'],
    ['#/messages/%E0%A4%A', 'No such message'],
    ['#/elsewhere', 'There is no such page'],
  ] as const) {
    await page.goto(site.url + hash);
    await page.getByRole('heading', { name: text }).waitFor();
  }
});
