// A list of tests with names that are sentences, run in order in one process, each with its verdict in a file.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const tests = [];

export function test(name, body) {
  tests.push({ name, body });
}

// Resolves with the first truthy value of `probe`, which is asked again and again; rejects after `seconds`, with what
// was waited for.
export async function until(what, probe, seconds = 60) {
  const latest = Date.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > latest) throw new Error(`after ${seconds} s still no ${what}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

// Runs every test with what `world` holds, and `afterwards` after each. A test that takes longer than `seconds` fails.
export async function runAll(world, results, afterwards, seconds = 90) {
  let failed = 0;
  for (const { name, body } of tests) {
    const began = Date.now();
    let timer;
    try {
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`it took longer than ${seconds} s`)), seconds * 1000);
      });
      await Promise.race([body(world), late]);
      writeFileSync(join(results, `${name}.passed`), '');
      console.log(`passed ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    } catch (trouble) {
      failed += 1;
      writeFileSync(join(results, `${name}.failed`), `${trouble.stack ?? trouble}\n`);
      console.log(`FAILED ${name}\n${trouble.stack ?? trouble}`);
    } finally {
      clearTimeout(timer);
      await afterwards();
    }
  }
  return failed;
}
