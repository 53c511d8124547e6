import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interleave, readIp, shuffled, whyRefused } from '../../src/delivery/addresses.js';

const judge = (text: string) => {
  const ip = readIp(text);
  assert.ok(ip, text);
  return whyRefused(ip);
};

test('every address has one spelling, and mapped IPv4 is IPv4', () => {
  const spelt = (text: string) => readIp(text) && `${readIp(text)!.family} ${readIp(text)!.text}`;
  assert.equal(spelt('192.0.2.1'), '4 192.0.2.1');
  assert.equal(spelt('2001:DB8:0::0001'), '6 2001:db8::1');
  assert.equal(spelt('::ffff:8.8.8.8'), '4 8.8.8.8');
  assert.equal(spelt('0:0:0:0:0:FFFF:0808:0808'), '4 8.8.8.8');
  assert.equal(spelt('fe80::1%eth0'), '6 fe80::1%eth0');
  for (const text of ['', 'example.com', '010.0.0.1', '127.1', '1.2.3.4.5', '[::1]', '::1::', '1.2.3.256', ' 1.2.3.4']) {
    assert.equal(spelt(text), undefined, text);
  }
});

test('addresses that no answer of DNS may lead to are refused, up to the edges of their networks', () => {
  const refused: Record<string, string> = {
    '0.0.0.0': 'unspecified',
    '0.255.255.255': 'unspecified',
    '10.0.0.0': 'private',
    '10.255.255.255': 'private',
    '100.64.0.0': 'shared',
    '100.127.255.255': 'shared',
    '127.0.0.1': 'loopback',
    '127.255.255.255': 'loopback',
    '169.254.169.254': 'link-local',
    '172.16.0.0': 'private',
    '172.31.255.255': 'private',
    '192.0.0.8': 'reserved',
    '192.0.2.255': 'documentation',
    '192.88.99.1': 'reserved',
    '192.168.0.0': 'private',
    '192.168.255.255': 'private',
    '198.18.0.0': 'benchmark',
    '198.19.255.255': 'benchmark',
    '198.51.100.1': 'documentation',
    '203.0.113.1': 'documentation',
    '224.0.0.1': 'multicast',
    '239.255.255.255': 'multicast',
    '240.0.0.0': 'reserved',
    '255.255.255.255': 'reserved',
    '::': 'unspecified',
    '::1': 'loopback',
    '::2': 'reserved',
    '::7f00:1': 'reserved',
    'fc00::1': 'private',
    'fdff:ffff::1': 'private',
    'fe80::1': 'link-local',
    'febf::1': 'link-local',
    'fec0::1': 'site-local',
    'fe80::1%lo': 'link-local',
    '2a00:1450::1%eth0': 'link-local',
    'ff02::1': 'multicast',
    '100::1': 'discard',
    '2001::1': 'tunnel',
    '2001:2::1': 'benchmark',
    '2001:20::1': 'reserved',
    '2001:db8::1': 'documentation',
    '3fff:fff::1': 'documentation',
    '4000::1': 'reserved',
    '5f00::1': 'reserved',
    '64:ff9b:1::a00:1': 'private',
  };
  for (const [address, why] of Object.entries(refused)) assert.equal(judge(address), why, address);
});

test('IPv4 that hides in IPv6 is judged as what it is', () => {
  const hidden: Record<string, string | undefined> = {
    '::ffff:127.0.0.1': 'loopback',
    '::ffff:10.1.2.3': 'private',
    '::ffff:a9fe:a9fe': 'link-local',
    '::ffff:8.8.8.8': undefined,
    '64:ff9b::127.0.0.1': 'loopback',
    '64:ff9b::10.0.0.1': 'private',
    '64:ff9b::c0a8:101': 'private',
    '64:ff9b::224.0.0.1': 'multicast',
    '64:ff9b::8.8.8.8': undefined,
    '64:ff9b::1:808:808': 'reserved',
    '2002:7f00:1::1': 'loopback',
    '2002:a01:203::': 'private',
    '2002:ac10:1::5': 'private',
    '2002:c0a8:101::1': 'private',
    '2002:6440:1::1': 'shared',
    '2002:c612:1::1': 'benchmark',
    '2002:e000:1::1': 'multicast',
    '2002:808:808::1': undefined,
  };
  for (const [address, why] of Object.entries(hidden)) assert.equal(judge(address), why, address);
});

test('what is out in the world is not refused, up to the edges', () => {
  const fit = [
    '1.0.0.0',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '169.253.255.255',
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.0',
    '192.167.255.255',
    '192.169.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
    '2001:1::1',
    '2001:4860:4860::8888',
    '2606:4700::1',
    '2a00:1450:4001::1a',
    '3ffe::1',
  ];
  for (const address of fit) assert.equal(judge(address), undefined, address);
});

test('the two families take turns, IPv4 first, and no address comes twice', () => {
  const texts = (list: readonly string[]) => interleave(list.map((text) => readIp(text)!)).map(({ text }) => text);
  assert.deepEqual(texts(['2600::1', '1.1.1.1', '2600::2', '1.1.1.2', '2600::1', '::ffff:1.1.1.1']), [
    '1.1.1.1',
    '2600::1',
    '1.1.1.2',
    '2600::2',
  ]);
  assert.deepEqual(texts(['2600::1', '2600::2']), ['2600::1', '2600::2']);
  assert.deepEqual(texts([]), []);
});

test('shuffling gives every order, and loses nothing', () => {
  const orders = new Set<string>();
  for (let a = 0; a < 3; a++) {
    for (let b = 0; b < 2; b++) {
      const units = [a / 3, b / 2];
      orders.add(shuffled(['x', 'y', 'z'], () => units.shift()!).join(''));
    }
  }
  assert.deepEqual([...orders].sort(), ['xyz', 'xzy', 'yxz', 'yzx', 'zxy', 'zyx']);
});
