/** Time that passes only when a test says so: the one that users' tests have. */
export { createVirtualClock, settle, type VirtualClock } from '../../src/testing/virtual-clock.js';
