/** The image, built and run: small, without root, on a root that it does not write to; mail passes through it, and ending it loses nothing. */
import assert from 'node:assert/strict';
import { chownSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { destination, message, subjectOf, temporaryFolder } from '../support/agent.js';
import { succeed } from '../support/commands.js';
import { buildImage, type Container, type ContainerOptions, cannotBuildImages, IMAGE_UID, type Image } from '../support/image.js';
import { type Scope, until } from '../support/scope.js';
import { talk } from '../support/talk.js';

/** What the image may add to its base. */
const MOST_ADDED = 60e6;
/** 90 MB, of which it takes some 70. */
const MOST_IDLE_KIB = 90e6 / 1024;

interface Agent extends Container {
  readonly pid: number;
  readonly port: number;
}

async function volume(scope: Scope): Promise<string> {
  const folder = await temporaryFolder(scope);
  chownSync(folder, IMAGE_UID, IMAGE_UID);
  return folder;
}

async function serve(image: Image, spool: string, options: ContainerOptions = {}): Promise<Agent> {
  const env = { RIATA_SUBMISSION_LISTEN: '127.0.0.1:0', RIATA_HOSTNAME: 'mail.riata.test', ...options.env };
  const container = image.run({ ...options, env, volumes: { '/var/spool/riata': spool, ...options.volumes } });
  const started = await until(
    () => `the agent to start, in\n${container.out()}`,
    () =>
      container
        .out()
        .split('\n')
        .find((line) => line.includes('"agent.started"')),
  );
  const { pid, listen } = JSON.parse(started) as { pid: number; listen: string };
  return { ...container, pid, port: Number(listen.split(':')[1]) };
}

/** Hands in message after message until the agent ends. Whoever got a 250 is in `accepted`. */
async function handIn(port: number, name: string, accepted: string[]): Promise<void> {
  const line = await talk(port);
  try {
    await line.reply();
    await line.say('EHLO client.test');
    for (let count = 0; ; count++) {
      const subject = `${name}-${count}`;
      for (const [command, code] of [
        ['MAIL FROM:<ann@example.test>', '250'],
        ['RCPT TO:<bob@dest.test>', '250'],
        ['DATA', '354'],
      ] as const)
        if (!(await line.say(command)).startsWith(code)) return;
      if ((await line.say(`${message(subject)}.`)).startsWith('250')) accepted.push(subject);
    }
  } catch {
    // It has ended.
  } finally {
    line.end();
  }
}

test('the image', { skip: cannotBuildImages(), timeout: 840_000 }, async (t) => {
  const image = await buildImage(t);

  await t.test('says who runs, where mail is kept and how health is asked for, and adds little to its base', async () => {
    const { config } = image;
    assert.equal(config.User, `${IMAGE_UID}:${IMAGE_UID}`);
    assert.deepEqual([config.Entrypoint, config.Cmd, config.StopSignal], [['riata'], ['serve'], 'SIGTERM']);
    assert.deepEqual(Object.keys(config.Volumes), ['/var/spool/riata']);
    assert.deepEqual(config.Healthcheck.Test, ['CMD', 'riata', 'health']);
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    assert.equal(config.Labels['org.opencontainers.image.version'], version);
    assert.equal(config.Labels['org.opencontainers.image.licenses'], 'MIT');
    const added = image.sizeBytes - image.baseSizeBytes;
    t.diagnostic(`the image adds ${(added / 1e6).toFixed(1)} MB to its base`);
    assert.ok(added < MOST_ADDED, `${added} octets`);
    const modules = join(image.folder, 'opt/riata/node_modules');
    assert.deepEqual(
      ['typescript', '@biomejs/biome', 'playwright-core'].filter((name) => existsSync(join(modules, name))),
      [],
    );
    assert.deepEqual(readdirSync(join(modules, 'classic-level/prebuilds')), [`linux-${process.arch}`]);
  });

  await t.test('takes mail with the environment of a Postfix image, on a root that cannot be written to, in little memory', async (u) => {
    const sink = await destination(u, { users: { riata: 'secret' } });
    const spool = await volume(u);
    const secrets = await temporaryFolder(u);
    writeFileSync(join(secrets, 'password'), 'secret\n');
    chownSync(secrets, IMAGE_UID, IMAGE_UID);
    const agent = await serve(image, spool, {
      readOnly: true,
      volumes: { '/mnt': secrets },
      env: {
        RELAYHOST: `[127.0.0.1]:${sink.port}`,
        RELAYHOST_USERNAME: 'riata',
        RELAYHOST_PASSWORD_FILE: '/mnt/password',
        RIATA_RELAY_TLS: 'off',
        ALLOWED_SENDER_DOMAINS: 'example.test',
        POSTFIX_message_size_limit: '20480',
      },
    });
    const line = await talk(agent.port);
    await line.reply();
    assert.match(await line.say('EHLO client.test'), /SIZE 20480/);
    assert.match(await line.say('MAIL FROM:<eve@elsewhere.test>'), /^550 5\.7\.1 /);
    line.end();
    const accepted: string[] = [];
    const client = handIn(agent.port, 'first', accepted);
    await until('some mail to arrive', () => sink.counts.messages > 20);
    process.kill(agent.pid, 'SIGTERM');
    assert.equal(await agent.ended, 0, agent.out());
    await client;

    const idle = await serve(image, spool, { readOnly: true });
    assert.equal(await image.run({ command: ['riata', 'health'], volumes: { '/var/spool/riata': spool } }).ended, 0);
    const status = readFileSync(`/proc/${idle.pid}/status`, 'utf8');
    assert.match(status, new RegExp(`^Uid:\\t${IMAGE_UID}\\t`, 'm'));
    // What starting has left behind is given back within some seconds.
    const residentKiB = () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${idle.pid}/status`, 'utf8'))![1]);
    await until(
      () => `at most ${MOST_IDLE_KIB} KiB resident, not ${residentKiB()}`,
      () => residentKiB() < MOST_IDLE_KIB,
    );
    t.diagnostic(`resident when idle: ${Math.round(residentKiB() / 1024)} MiB`);
    const written = await succeed('find', [image.folder, '-xdev', '-user', String(IMAGE_UID), '!', '-path', '*/var/spool/riata*']);
    assert.equal(written, '');
    process.kill(idle.pid, 'SIGTERM');
    assert.equal(await idle.ended, 0);
    assert.notEqual(await image.run({ command: ['riata', 'health'], volumes: { '/var/spool/riata': spool } }).ended, 0);
  });

  await t.test('ended under load by SIGTERM loses nothing and doubles nothing', async (u) => {
    const sink = await destination(u);
    const spool = await volume(u);
    const env = { RIATA_RELAY_HOST: '127.0.0.1', RIATA_RELAY_PORT: String(sink.port) };
    const accepted: string[] = [];
    for (const round of ['a', 'b']) {
      const agent = await serve(image, spool, { env });
      const before = accepted.length;
      const clients = [1, 2, 3, 4].map((n) => handIn(agent.port, `${round}${n}`, accepted));
      await until('mail to flow', () => accepted.length > before + 200);
      process.kill(agent.pid, 'SIGTERM');
      assert.equal(await agent.ended, 0, agent.out().slice(-2000));
      await Promise.all(clients);
    }
    const last = await serve(image, spool, { env });
    await until(
      () => `${accepted.length} to arrive, not ${sink.counts.messages}`,
      () => sink.counts.messages >= accepted.length,
    );
    process.kill(last.pid, 'SIGTERM');
    assert.equal(await last.ended, 0);
    const arrived = sink.messages.map(({ bytes }) => subjectOf(bytes));
    assert.deepEqual([...arrived].sort(), [...accepted].sort());
  });

  await t.test('does not begin to keep mail where it would go with the container, unless told', async (u) => {
    const env = { RIATA_SPOOL_PATH: '/tmp/spool', RIATA_SUBMISSION_LISTEN: '127.0.0.1:0' };
    const refused = image.run({ env });
    assert.equal(await refused.ended, 78);
    assert.match(refused.out(), /\/tmp\/spool lies on the container's own layer.*mount a volume there/);
    const spool = await volume(u);
    const allowed = await serve(image, spool, { env: { ...env, RIATA_SPOOL_EPHEMERAL: 'allow' } });
    process.kill(allowed.pid, 'SIGTERM');
    assert.equal(await allowed.ended, 0);
    assert.deepEqual(readdirSync(spool), []);
  });
});
