/**
 * fast-check, with a seed that does not change: a run that fails does so for what was changed, not for what was drawn. Other cases
 * are looked for on purpose:
 *
 *   PROPERTY_SEED=random npm test -- test/core
 *
 * A property that fails names its seed, which repeats it in place of `random`.
 */
import fc from 'fast-check';

const { PROPERTY_SEED: given = '1' } = process.env;

if (given !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(given) });

export default fc;
