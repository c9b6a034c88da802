import assert from 'node:assert/strict';
import test from 'node:test';

import { answer } from '../src/app.js';

test('the greeting names the path', async () => {
  const response = await answer(new Request('http://localhost/world'));
  assert.equal(response.status, 200);
  assert.equal(await response.text(), 'Hello from TypeScript! You asked for /world\n');
});
