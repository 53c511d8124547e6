/**
 * The whole agent through made-up days, each from a seed (odd ones): whatever goes wrong, every recipient has one end, nothing comes
 * early, too often or to nobody, and all limits hold (G1–G3, G5, G6, G10, G11).
 */
import { test } from 'node:test';
import { holdSeeds } from './seeds.js';

test('whatever the odd seed, all is as promised', (t) => holdSeeds(t, 1));
