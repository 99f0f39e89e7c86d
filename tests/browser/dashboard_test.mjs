// The dashboard of real coordinators in a real browser. One town is founded for all: a coordinator whose devices take
// part in rounds while the tests look on, one without devices, one with two jobs, one with none, and one that is killed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { runAll, test, until } from './suite.mjs';
import { Town, deviceIds, stop } from './town.mjs';

const [programs, work] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8');

const wide = { width: 1280, height: 900 };
const phone = { width: 360, height: 740 };

// What every page said and asked for, of all tests; a test that provokes an error looks at it and takes it away.
const complaints = [];
const requests = [];

// A tab of its own, on this coordinator's page.
async function open(world, coordinator, { viewport = wide, colorScheme = 'light', before } = {}) {
  const context = await world.browser.newContext({ viewport, colorScheme, acceptDownloads: true });
  context.setDefaultTimeout(30_000);
  world.contexts.push(context);
  const page = await context.newPage();
  page.complaints = [];
  const complain = (text) => {
    page.complaints.push(text);
    complaints.push(text);
  };
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complain(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => complain(`exception: ${error.message}`));
  page.on('request', (request) => requests.push({ url: request.url(), own: new URL(coordinator.url).host }));
  if (before) await before(page);
  await page.goto(coordinator.url);
  return page;
}

const text = (page, selector) => page.locator(selector).innerText();
const loaded = (page) => page.waitForSelector('main[aria-busy="false"]');
const shoot = (page, name) => page.screenshot({ path: join(work, 'screenshots', `${name}.png`), fullPage: true });

// A page of the town with rounds and at least two versions on it.
async function openRounds(world, options) {
  const page = await open(world, world.busy, options);
  await page.waitForSelector('#rounds tr');
  return page;
}

// What axe-core finds that is serious or critical: the rule and the elements.
async function seriousFindings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return violations.filter((v) => ['serious', 'critical'].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`);
}

async function command(page, token, name) {
  await page.fill('#token', token);
  await page.click(`#commands button[value="${name}"]`);
  await page.waitForFunction(() => document.querySelector('#answer').textContent !== '');
  return text(page, '#answer');
}

// --- what is there while rounds run

test('TheOverviewFollowsRoundsWhileTheyRun', async (world) => {
  const page = await openRounds(world);
  assert.equal(await text(page, '#job'), 'busy');
  assert.match(await text(page, '#facts'), /Devices connected\s+80/);
  const latest = () => page.locator('#rounds tr:first-child td:first-child').innerText().then(Number);
  const before = await latest();
  await until('later round on the page that was open', async () => (await latest()) > before);
  assert.match(await page.title(), /^busy/);
  await shoot(page, 'overview-wide-light');
});

test('TheFunnelShowsEveryStepOfTheLastRound', async (world) => {
  const page = await openRounds(world);
  const steps = (await page.locator('#funnel li').allInnerTexts()).map((line) => line.trim());
  assert.deepEqual(steps.map((line) => line.replace(/: \d+$/, '')), ['Invited', 'Sent keys', 'Sent a masked update', 'In the sum', 'Helped to unmask']);
  const counts = steps.map((line) => Number(line.split(': ')[1]));
  // A cohort has 76 to 80 devices here, and at least 64 of them are in its sum; fewer are enough to unmask it.
  for (const count of counts.slice(0, 4)) assert.ok(count >= 64 && count <= 80, `the steps are ${counts}`);
  assert.ok(counts[4] >= 1 && counts[4] <= counts[3], `the steps are ${counts}`);
  assert.ok(counts[0] >= counts[1] && counts[1] >= counts[2] && counts[2] >= counts[3], `nobody appears from nowhere: ${counts}`);
});

test('QualityIsDrawnOverRoundsAndPrivacyIsSaidPlainly', async (world) => {
  const page = await openRounds(world);
  await page.waitForSelector('#quality svg[role="img"]');
  assert.match(await page.getAttribute('#quality svg', 'aria-label'), /^RMSE, held out from [\d.]+ at round \d+ to [\d.]+ at round \d+$/);
  assert.match(await text(page, '#epsilon'), /NO DIFFERENCING PROTECTION/);
});

test('AVersionCanBeDownloaded', async (world) => {
  const page = await openRounds(world);
  // A version is kept for a few rounds only: the newest one's link.
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#versions a').first().click()]);
  assert.match(download.suggestedFilename(), /^busy-\d+\.tensors$/);
  const bytes = readFileSync(await download.path());
  assert.ok(bytes.includes('CHORUS/1/tensors'), 'the file holds tensors');
});

test('TwoVersionsCanBeCompared', async (world) => {
  const page = await openRounds(world);
  await page.waitForFunction(() => document.querySelectorAll('#from option').length >= 2);
  await page.locator('#compare button').click();
  await page.waitForSelector('#difference table');
  const told = await text(page, '#difference');
  assert.match(told, /From version \d+ to version \d+/);
  assert.match(told, /The numbers moved by [\d.e+-]+ in all/);
  const items = await page.locator('#difference table').nth(1).locator('tbody tr').count();
  assert.equal(items, 10, 'the ten items that changed most');
  await shoot(page, 'two-versions');
});

test('NoDeviceIsNamed', async (world) => {
  const page = await openRounds(world);
  const everything = (await page.content()) + JSON.stringify(await world.busy.status());
  const ids = deviceIds(world.town);
  assert.equal(ids.length, 80);
  for (const id of ids) assert.ok(!everything.includes(id), `device ${id} is on the page`);
});

test('WhatAPeerSaysIsTextAndNoMarkup', async (world) => {
  const status = await world.busy.status();
  const evil = '<img src=x onerror="document.title=1">';
  status.job.name = evil;
  status.rounds.at(-1).reason = evil;
  status.declined = { [evil]: 1 };
  const page = await open(world, world.busy, { before: (p) => p.route('**/api/status?*', (route) => route.fulfill({ json: status })) });
  await loaded(page);
  assert.equal(await text(page, '#job'), evil);
  assert.equal(await page.locator('img').count(), 0);
  assert.match(await text(page, '#reasons'), /onerror/);
});

test('SeveralJobsOfOneCoordinatorCanBeChosenFrom', async (world) => {
  const page = await open(world, world.pair);
  await loaded(page);
  assert.deepEqual(await page.locator('#jobs option').allInnerTexts(), ['films', 'songs']);
  assert.equal(await text(page, '#job'), 'films');
  await page.selectOption('#jobs', 'songs');
  await page.waitForFunction(() => document.querySelector('#job').textContent === 'songs');
  assert.match(await page.locator('#versions a').first().getAttribute('href'), /job=songs&version=0$/);
  // A command is for the job that is shown.
  await command(page, world.pair.token, 'pause');
  await page.waitForFunction(() => document.querySelector('#phase').textContent === 'paused');
  await page.selectOption('#jobs', 'films');
  await page.waitForFunction(() => document.querySelector('#job').textContent === 'films');
  assert.equal(await text(page, '#phase'), 'gathering');
  await shoot(page, 'several-jobs');
  assert.deepEqual(await seriousFindings(page), []);
});

test('ManyOpenPagesShutNobodyOut', async (world) => {
  for (let page = 0; page < 6; ++page) await loaded(await open(world, world.lonely));
  for (const path of ['healthz', 'metrics']) assert.equal((await fetch(world.lonely.url + path)).status, 200);
});

// --- the four states

test('BeforeTheFirstAnswerThePageSaysThatItLoads', async (world) => {
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  const page = await open(world, world.busy, { before: (p) => p.route('**/api/jobs', async (route) => { await held; await route.continue(); }) });
  assert.equal(await text(page, '#phase'), 'loading');
  assert.equal(await page.getAttribute('main', 'aria-busy'), 'true');
  assert.match(await text(page, '#state'), /Asking the coordinator/);
  await shoot(page, 'loading');
  assert.deepEqual(await seriousFindings(page), []);
  release();
  await loaded(page);
  assert.notEqual(await text(page, '#phase'), 'loading');
  assert.equal(await page.locator('#state').textContent(), '');
});

test('ACoordinatorWithoutDevicesSaysThatNothingHasHappenedYet', async (world) => {
  const page = await open(world, world.lonely);
  await loaded(page);
  assert.equal(await text(page, '#phase'), 'gathering');
  assert.match(await text(page, '#no-rounds'), /^No round has ended yet/);
  assert.match(await text(page, '#funnel'), /No round has ended yet/);
  assert.match(await text(page, '#quality'), /Nothing was measured yet/);
  assert.match(await text(page, '#reasons'), /Nobody/);
  assert.equal(await page.locator('#rounds-table').isVisible(), false);
  assert.equal(await page.locator('#compare').isVisible(), false);
  await shoot(page, 'empty');
  assert.deepEqual(await seriousFindings(page), []);
});

test('ACoordinatorWithoutAJobSaysSo', async (world) => {
  const page = await open(world, world.idle);
  await loaded(page);
  assert.equal(await text(page, '#phase'), 'no job');
  assert.match(await text(page, '#state'), /has no job.*chorus-coordinator job submit/);
  assert.doesNotMatch(await text(page, 'main'), /Loading/);
  await shoot(page, 'no-job');
  assert.deepEqual(await seriousFindings(page), []);
});

test('ACoordinatorThatWasKilledIsSaidToBeGoneAndComesBack', async (world) => {
  const page = await open(world, world.doomed);
  await loaded(page);
  await world.doomed.kill();
  await page.waitForFunction(() => document.querySelector('#phase').textContent === 'unreachable');
  assert.match(await text(page, '#state'), /does not answer; what you see is old/);
  assert.match(await text(page, '#facts'), /Devices connected/);
  await shoot(page, 'gone');
  assert.deepEqual(await seriousFindings(page), []);
  await world.doomed.restart();
  await page.waitForFunction(() => document.querySelector('#phase').textContent === 'gathering');
  assert.equal(await page.locator('#state').textContent(), '');
  // The browser itself reports the requests that nobody answered, and nothing else was said.
  for (const line of page.complaints) assert.match(line, /Failed to load resource: net::ERR_CONNECTION/);
  for (const line of page.complaints) complaints.splice(complaints.indexOf(line), 1);
});

// --- who looks, and with what

test('OnAPhoneNothingSticksOutOfTheScreen', async (world) => {
  const page = await openRounds(world, { viewport: phone });
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= screen, `the page is ${content} wide on a screen of ${screen}`);
  const cut = await page.evaluate(() => [...document.querySelectorAll('section')].filter((s) => s.scrollWidth > s.clientWidth + 1).map((s) => s.textContent.slice(0, 30)));
  assert.deepEqual(cut, [], 'no card is wider than the screen');
  await shoot(page, 'overview-phone-light');
  assert.deepEqual(await seriousFindings(page), []);
});

test('OnAPhoneEverythingIsLargeEnoughForAFinger', async (world) => {
  const page = await openRounds(world, { viewport: phone });
  await page.waitForSelector('#compare:not([hidden])');
  // 24 pixels each way: WCAG 2.2, 2.5.8.
  const small = await page.evaluate(() => [...document.querySelectorAll('button, input, select')]
    .map((e) => ({ name: e.id || e.textContent, box: e.getBoundingClientRect() }))
    .filter(({ box }) => box.width > 0 && (box.width < 24 || box.height < 24))
    .map(({ name, box }) => `${name}: ${box.width} x ${box.height}`));
  assert.deepEqual(small, []);
});

test('ThePageIsLight', async (world) => {
  let bytes = 0;
  const page = await open(world, world.lonely, {
    before: async (p) => p.on('response', async (response) => {
      if (!response.url().includes('/api/')) bytes += (await response.body()).length;
    }),
  });
  await loaded(page);
  assert.ok(bytes > 1_000 && bytes < 60_000, `the page, its style and its script take ${bytes} bytes`);
});

test('OnAWideScreenCardsStandSideBySide', async (world) => {
  const page = await openRounds(world);
  const tops = await page.evaluate(() => [...document.querySelectorAll('section:not(.wide)')].map((s) => Math.round(s.getBoundingClientRect().top)));
  assert.ok(new Set(tops).size < tops.length, `cards at ${tops}`);
});

test('DarkAndLightAreBothReadable', async (world) => {
  const papers = [];
  for (const colorScheme of ['light', 'dark']) {
    const page = await openRounds(world, { colorScheme });
    papers.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    assert.deepEqual(await seriousFindings(page), [], colorScheme);
    await shoot(page, `overview-wide-${colorScheme}`);
  }
  assert.notEqual(papers[0], papers[1]);
});

test('EverythingThatCanBeDoneCanBeDoneWithTheKeyboardAlone', async (world) => {
  const page = await openRounds(world);
  await page.waitForSelector('#compare:not([hidden])');
  const reached = new Set();
  for (let i = 0; i < 40; ++i) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const e = document.activeElement;
      if (e === document.body) return null;
      const outline = getComputedStyle(e).outlineStyle;
      return { name: e.id || e.getAttribute('value') || e.textContent.trim().slice(0, 20), seen: outline !== 'none' };
    });
    if (at === null) break;
    assert.ok(at.seen, `the focus on '${at.name}' can be seen`);
    reached.add(at.name);
  }
  for (const name of ['To the rounds', 'token', 'pause', 'resume', 'rounds-table', 'versions-table', 'Download', 'from', 'to', 'Compare']) {
    assert.ok(reached.has(name), `Tab reaches ${name}; it reached ${[...reached]}`);
  }
  // Enter in the token's field asks for the first command.
  await page.focus('#token');
  await page.keyboard.type('nonsense');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('#answer').textContent !== '');
  assert.match(await text(page, '#answer'), /this needs the token/);
  takeAway(page, /401/);
});

function takeAway(page, expected) {
  for (const line of page.complaints.splice(0)) {
    assert.match(line, expected);
    complaints.splice(complaints.indexOf(line), 1);
  }
}

// --- what an operator does

test('CommandsNeedTheTokenAndWorkWithIt', async (world) => {
  const page = await openRounds(world);
  assert.match(await command(page, 'wrong', 'pause'), /this needs the token/);
  takeAway(page, /401/);
  assert.equal((await world.busy.status()).paused, false);
  await page.evaluate(() => { document.querySelector('#answer').textContent = ''; });
  assert.match(await command(page, world.busy.token, 'pause'), /opens from now on/);
  await page.waitForFunction(() => document.querySelector('#phase').textContent === 'paused');
  await shoot(page, 'paused');
  await page.evaluate(() => { document.querySelector('#answer').textContent = ''; });
  assert.match(await command(page, world.busy.token, 'resume'), /open again/);
  await page.waitForFunction(() => document.querySelector('#phase').textContent !== 'paused');
});

test('TheAuditLogTellsWhoAskedForWhat', async (world) => {
  const page = await open(world, world.lonely);
  await loaded(page);
  assert.match(await text(page, '#no-audit'), /Nobody has asked for anything yet/);
  await command(page, world.lonely.token, 'pause');
  await page.waitForSelector('#audit tr');
  const cells = await page.locator('#audit tr:first-child td').allInnerTexts();
  assert.match(cells[0], /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  assert.deepEqual(cells.slice(1, 4), ['admin', 'pause', 'lonely']);
  await shoot(page, 'audit-log');
});

// --- of all of the above

test('NothingWasReportedOnTheConsole', async () => {
  assert.deepEqual(complaints, []);
});

test('NoRequestWentToAnotherHost', async () => {
  assert.ok(requests.length > 20);
  const foreign = requests.filter(({ url, own }) => !url.startsWith('data:') && !url.startsWith('blob:') && new URL(url).host !== own);
  assert.deepEqual(foreign, []);
});

async function closeAll(world) {
  await Promise.all(world.contexts.splice(0).map((context) => context.close().catch(() => {})));
}

const world = { contexts: [] };
try {
  world.town = new Town(programs, join(work, 'town'));
  world.town.found();
  const jobs = { pair: ['films', 'songs'], idle: [] };
  for (const name of ['busy', 'lonely', 'doomed', 'pair', 'idle']) {
    world[name] = await world.town.startCoordinator(name, { jobs: jobs[name] });
  }
  world.fleet = world.town.startFleet(world.busy);
  world.browser = await chromium.launch({
    executablePath: process.env.CHORUS_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--disable-dev-shm-usage', '--disable-gpu', ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
  });
  await until('third round', async () => (await world.busy.status()).rounds.length >= 3, 120);
  const failed = await runAll(world, join(work, 'results'), () => closeAll(world));
  console.log(failed === 0 ? 'all passed' : `${failed} failed`);
} finally {
  await closeAll(world);
  await world.browser?.close();
  const coordinators = [world.busy, world.lonely, world.doomed, world.pair, world.idle];
  for (const running of [world.fleet, ...coordinators.map((coordinator) => coordinator?.process)]) {
    if (running) await stop(running);
  }
}
